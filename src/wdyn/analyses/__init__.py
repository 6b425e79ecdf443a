"""Run → findings → charts, one file per analysis, found by file name."""

from __future__ import annotations

import importlib
import pkgutil
import warnings
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from wdyn.errors import NotFoundError

if TYPE_CHECKING:
    from wdyn.analyses._spec import Analysis

GROUP = "wdyn.analyses"


def names() -> list[str]:
    """Names of all analyses, built in and from installed plugins, sorted; imports none of them."""
    built_in = {m.name for m in pkgutil.iter_modules(__path__) if not m.name.startswith("_")}
    return sorted(built_in | _plugins().keys())


def load(name: str) -> Analysis:
    """The analysis of that name.

    Args:
        name: one of `names()`.

    Returns:
        Its `ANALYSIS`.

    Raises:
        NotFoundError: there is no such analysis, which lists those there are, or it is a plugin that is broken.
    """
    if name not in names():
        raise NotFoundError(f"no analysis {name!r}. There are: {', '.join(names())}")
    if plugin := _plugins().get(name):
        return _load_plugin(plugin)
    analysis: Analysis = importlib.import_module(f"{__name__}.{name}").ANALYSIS
    return analysis


def load_or_warn(name: str) -> Analysis | None:
    """The analysis, or None with a warning where a plugin is broken: it must not take the others down."""
    try:
        return load(name)
    except NotFoundError as error:
        warnings.warn(str(error), RuntimeWarning, stacklevel=2)
        return None


def _load_plugin(plugin: EntryPoint) -> Analysis:
    from wdyn.analyses._spec import Analysis

    try:
        found = plugin.load()
    except Exception as error:  # a stranger's code may raise anything
        raise NotFoundError(f"analysis plugin {plugin.name!r} cannot be loaded: {error}") from error
    if not isinstance(found, Analysis):
        raise NotFoundError(f"analysis plugin {plugin.name!r} cannot be loaded: {plugin.value} is no Analysis")
    return found


def _plugins() -> dict[str, EntryPoint]:
    return {entry.name: entry for entry in entry_points(group=GROUP)}
