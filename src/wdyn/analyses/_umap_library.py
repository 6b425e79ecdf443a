"""umap-learn, loaded when first needed."""

from __future__ import annotations

import contextlib
import functools
import warnings
from typing import Any


@functools.cache
def library() -> Any:
    """The module with umap-learn's own parts.

    Numba compiles them for 12 seconds in each process that asks umap-learn for a layout. Here the first process keeps
    what it compiled where Numba keeps the rest of umap-learn, and the others only load it.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tensorflow not installed", ImportWarning)  # for ParametricUMAP alone
        from umap import layouts, umap_
    for function in (*vars(umap_).values(), *vars(layouts).values()):
        if hasattr(function, "enable_caching"):
            with contextlib.suppress(RuntimeError):  # no folder to write to: compiled anew, as without us
                function.enable_caching()
    return umap_
