"""Many variants of a network at once, each with some units gone: only what comes after the units is run again.

Two roads lead from the units to the outputs:

- `Everywhere` clamps the units and runs the rest of the program for a batch of variants (`torch.vmap`).
- `ThroughLinear` serves units whose values reach one linear layer and nothing else, each by itself, as through pooling:
  without the units U the layer's output is Y + Σ_U (c_u - X_u) W_u, an update of low rank.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from wdyn.replay.interpret import Operation, Program, Values, compute
from wdyn.replay.places import Site

Outputs = Callable[[Values], Tensor]  # from the values of a program's results to the output that is scored
Run = Callable[[Mapping[str, Tensor]], Tensor]  # from (V, N) bool by name of the place to (V, B, ...)


class Road(Protocol):
    """A way from units that go to outputs.

    Attributes:
        needs: names of the values of the intact network that it starts from.
        repeated: the operations that it does for each variant.
        room: bytes of the largest value that is repeated, with all variants that are done together.
    """

    needs: tuple[str, ...]
    repeated: tuple[Operation, ...]
    room: int

    def prepare(self, intact: Values, clamped: Mapping[str, Tensor]) -> Run:
        """Get ready for some examples.

        Args:
            intact: the values of `needs`.
            clamped: name of a place to (N,), what a unit that is gone gives.
        """


class Everywhere:
    """Runs all that depends on the units again, whatever it is."""

    room = 1 << 23  # more, and the values of a convolution leave the cache

    def __init__(self, program: Program, sites: Sequence[Site], outputs: Outputs) -> None:
        """Take the places whose units go; they may depend on one another."""
        self._program, self._outputs = program, outputs
        self._sites = {site.node: site for site in sites}
        self.repeated = program.after(self._sites)
        made = {each.name for each in self.repeated}
        self._starts = [node for node in self._sites if node not in made]
        inside = {name for each in self.repeated for name in each.needs}
        self.needs = tuple(sorted((inside | set(program.results) | set(self._starts)) - made))
        self._batched = Batched()

    def prepare(self, intact: Values, clamped: Mapping[str, Tensor]) -> Run:
        """See `Road`."""

        def one(gone: Mapping[str, Tensor]) -> Tensor:
            def clamp(node: str, value: Tensor) -> Tensor:
                site = self._sites[node]
                return clamp_units(site, value, gone[site.name], clamped[site.name])

            def clamped_after(each: Operation) -> Operation:
                return replace(each, run=lambda at: clamp(each.name, each.run(at)))

            tail = [clamped_after(each) if each.name in self._sites else each for each in self.repeated]
            start = {**intact, **{node: clamp(node, intact[node]) for node in self._starts}}
            return self._outputs({**start, **compute(tail, start, keep=self._program.results)})

        return lambda gone: self._batched(one, dict(gone))


class ThroughLinear:
    """Updates the output of the one linear layer that the units reach, and runs what comes after it again."""

    room = 1 << 25  # what is done is so little that fetching memory for it would take longer: seldom, then, and much

    def __init__(self, program: Program, site: Site, path: Sequence[Operation], outputs: Outputs) -> None:
        """Take a site and what lies behind it, as `path_to_linear` finds it."""
        self._program, self._site, self._outputs = program, site, outputs
        self._path, self._linear = tuple(path[:-1]), path[-1]
        self.repeated = program.after([self._linear.name])
        made = {each.name for each in self.repeated}
        inside = {name for each in (*self.repeated, *self._path) for name in each.needs}
        inside |= {*program.results, self._linear.name, *self._linear.needs, site.node}
        self.needs = tuple(sorted(inside - made - {each.name for each in self._path[:-1]}))
        self._batched = Batched()

    def prepare(self, intact: Values, clamped: Mapping[str, Tensor]) -> Run:
        """See `Road`."""
        site, entry = self._site, self._linear.positional[0]["node"]
        weight, output = intact[self._linear.positional[1]["node"]], intact[self._linear.name]
        everything = torch.ones(site.units, dtype=torch.bool)
        none_left = clamp_units(site, intact[site.node], everything, clamped[site.name])
        start = {**intact, site.node: none_left}
        change = {**start, **compute(self._path, start, keep=[entry])}[entry] - intact[entry]
        change = change.reshape(-1, site.units, change.shape[-1] // site.units)  # (R, N, k)
        rows = weight.reshape(len(weight), site.units, -1).permute(1, 2, 0).contiguous()  # (N, k, M)
        flat = output.reshape(-1, output.shape[-1])

        def one(value: Tensor) -> Tensor:
            start = {**intact, self._linear.name: value}
            return self._outputs({**start, **compute(self.repeated, start, keep=self._program.results)})

        def run(gone: Mapping[str, Tensor]) -> Tensor:
            changed = _updated(flat, change, rows, gone[site.name])
            return self._batched(one, changed.reshape(-1, *output.shape))

        return run


class Batched:
    """A function of one variant done for many at once, or, where torch cannot, for one after the other."""

    def __init__(self) -> None:
        self._possible = True

    def __call__(self, one: Callable[[Any], Tensor], many: Any) -> Tensor:
        """Apply a function along the first axis of a tensor or of each of a dict of them."""
        if self._possible and _count(many) > 1:
            try:
                with sdpa_kernel(SDPBackend.MATH):  # the fused one would do one variant after the other
                    return torch.vmap(one)(many)
            except RuntimeError:
                self._possible = False
        return torch.stack([one(_variant(many, v)) for v in range(_count(many))])


def _count(many: Tensor | dict[str, Tensor]) -> int:
    return len(many) if isinstance(many, Tensor) else len(next(iter(many.values())))


def _variant(many: Tensor | dict[str, Tensor], number: int) -> Any:
    return many[number] if isinstance(many, Tensor) else {name: each[number] for name, each in many.items()}


def clamp_units(site: Site, value: Tensor, gone: Tensor, clamped: Tensor) -> Tensor:
    """The value of a site's node with the units that are gone at a fixed value.

    Args:
        site: where.
        value: (..., N, ...) with the units on the site's axis.
        gone: (N,) bool.
        clamped: (N,) what they give instead.
    """
    shape = (-1, *[1] * (-1 - site.axis))
    return torch.where(gone.reshape(shape), clamped.to(value.dtype).reshape(shape), value)


def _updated(output: Tensor, change: Tensor, weight: Tensor, gone: Tensor) -> Tensor:
    """Outputs of a linear layer without some units.

    What goes in all variants is taken off once; so variants that differ by a unit each, such as a removal order, cost
    as little as single units.

    Args:
        output: (R, M) of the intact network.
        change: (R, N, k) how its inputs change where a unit is gone.
        weight: (N, k, M).
        gone: (V, N) bool.

    Returns:
        (V, R, M).
    """
    always = gone.all(0)
    base = output + change[:, always].flatten(1) @ weight[always].flatten(0, 1)
    rest = gone & ~always
    counts = rest.sum(1)
    if int(counts.max()) <= 1:
        which = rest.to(torch.uint8).argmax(1)
        present = counts.to(weight.dtype)[:, None, None]  # 0 where nothing more is gone
        return torch.baddbmm(
            base.expand(len(gone), *base.shape), change[:, which].transpose(0, 1), weight[which] * present
        )
    some = rest.any(0)
    masked = change[:, some] * rest[:, None, some, None].to(change.dtype)  # (V, R, U, k)
    return base + masked.flatten(2) @ weight[some].flatten(0, 1)
