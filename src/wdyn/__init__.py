"""wdyn records every step of a network's weights and shows how it learned.

```python
from wdyn import Recorder

rec = Recorder(model)  # the one added line
```

Importing this module loads the standard library only; each public name is resolved on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from wdyn._version import __version__

if TYPE_CHECKING:
    from wdyn import report
    from wdyn.analyses import load as load_analysis
    from wdyn.record.recorder import Recorder
    from wdyn.record.schedule import at, dense_then, every, log_spaced
    from wdyn.replay.evaluator import evaluator
    from wdyn.replay.model import replayed
    from wdyn.store.reader import open_run
    from wdyn.store.run import Run

_HOME = {
    "Recorder": ("wdyn.record.recorder", "Recorder"),
    "every": ("wdyn.record.schedule", "every"),
    "log_spaced": ("wdyn.record.schedule", "log_spaced"),
    "at": ("wdyn.record.schedule", "at"),
    "dense_then": ("wdyn.record.schedule", "dense_then"),
    "evaluator": ("wdyn.replay.evaluator", "evaluator"),
    "replayed": ("wdyn.replay.model", "replayed"),
    "open_run": ("wdyn.store.reader", "open_run"),
    "Run": ("wdyn.store.run", "Run"),
    "report": ("wdyn.report", ""),
    "load_analysis": ("wdyn.analyses", "load"),
}

__all__ = [
    "Recorder",
    "Run",
    "__version__",
    "at",
    "dense_then",
    "evaluator",
    "every",
    "load_analysis",
    "log_spaced",
    "open_run",
    "replayed",
    "report",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'wdyn' has no attribute {name!r}")
    module, attribute = _HOME[name]
    home = importlib.import_module(module)
    return getattr(home, attribute) if attribute else home


def __dir__() -> list[str]:
    return __all__
