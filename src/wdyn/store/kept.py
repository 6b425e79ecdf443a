"""Values of a run that stay in memory once they were read."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np

from wdyn.store.sources import Array


class Kept:
    """Values by tensor and step, up to a number of bytes.

    The first to come stay. To drop what was used longest ago would be of no use: each pass goes from the first step to
    the last, and would drop just what the next pass begins with.
    """

    def __init__(self, room: int) -> None:
        """Nothing yet.

        Args:
            room: most bytes to keep; 0 keeps nothing.
        """
        self._room = room
        self._known: dict[Hashable, dict[int, Array]] = {}

    def read(self, what: Hashable, positions: Array, fetch: Callable[[Array], Array]) -> Array:
        """Values at some steps, from memory where they are there.

        Args:
            what: names the tensor and the part of it.
            positions: (B,) positions of the steps.
            fetch: reads the values at some of these positions, (B, ...).

        Returns:
            (B, ...), the caller's own.
        """
        known = self._known.setdefault(what, {})
        new = np.array([position not in known for position in positions.tolist()], dtype=np.bool_)
        if new.all():
            values = fetch(positions)
        else:
            first = known[int(positions[~new][0])]
            values = np.empty((len(positions), *first.shape), first.dtype)
            for at in np.flatnonzero(~new).tolist():
                values[at] = known[int(positions[at])]
            if new.any():
                values[new] = fetch(positions[new])
        for at in np.flatnonzero(new).tolist():
            self._keep(known, int(positions[at]), values[at])
        return values

    def _keep(self, known: dict[int, Array], position: int, values: Array) -> None:
        if values.nbytes <= self._room:
            self._room -= values.nbytes
            known[position] = values.copy()
