"""Training by several processes at once: which of them records."""

from __future__ import annotations

from torch import distributed


def is_first_rank() -> bool:
    """Whether this process is the first of its group, or trains alone."""
    return not (distributed.is_available() and distributed.is_initialized() and distributed.get_rank() > 0)
