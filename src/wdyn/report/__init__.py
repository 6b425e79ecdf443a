"""Charts → page, figure or JSON; nothing in here computes a finding.

`wdyn.report(run)` is a call of this package: the name of the folder and that of the function are one.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wdyn.report.notebook import Page


class _Callable(ModuleType):
    def __call__(self, *runs: Any, **options: Any) -> Page:
        """See `wdyn.report.notebook.report`."""
        from wdyn.report.notebook import report

        return report(*runs, **options)


sys.modules[__name__].__class__ = _Callable
