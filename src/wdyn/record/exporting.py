"""When the model is exported as a program: once, after the first update, from the shapes of its first call."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import get_ident
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.hooks import RemovableHandle

from wdyn.journal.frame import MOST_PROGRAM, Kind
from wdyn.record import program
from wdyn.record.inventory import take_inventory
from wdyn.record.missing import note

OFF = "switched off with program=False"
NEVER_CALLED = (
    "the model was never called by itself (compiled before the first step?); "
    "give Recorder(model, sample=(inputs, targets))"
)
NO_UPDATE = "the weights were not updated while it was recorded"
INTERRUPTED = "the export was interrupted"

_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.layout)
Array = np.ndarray[Any, np.dtype[Any]]


class FirstCall:
    """A forward pre-hook that looks at the inputs. Dynamo finds nothing in it, and copies of the module lack it."""

    def __init__(self, look: Callable[[tuple[Any, ...], dict[str, Any]], None]) -> None:
        self._look = look

    def __call__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any] | None = None) -> None:
        """Called before each forward pass."""
        if torch.compiler.is_compiling() or torch.jit.is_tracing():  # type: ignore[attr-defined, no-untyped-call]
            return
        self._look(args, kwargs or {})

    def __reduce__(self) -> tuple[Any, ...]:
        """What stands for it in a copy or a pickle: a callable of Python's own that takes anything and does nothing."""
        return getattr, (nullcontext(), "__exit__")


class Exporter:
    """Hands over the program of a model, or a note that says why there is none; never raises."""

    def __init__(
        self,
        model: nn.Module,
        sample: Mapping[str, Array] | None,
        *,
        wanted: bool | Mapping[str, Any] | str | None,
        active: Callable[[], bool],
        put: Callable[[Kind, bytes], None],
    ) -> None:
        """Watch for the first call.

        Args:
            model: as its user calls it.
            sample: shape and type of its `inputs` serve where the model is never called by itself.
            wanted: whether to export at all, or the program where it is known, or why there will be none; None where
                the run has it.
            active: whether this process records.
            put: takes the PROGRAM or NOTE frame.
        """
        self._model, self._active, self._put = model, active, put
        self._sample = None if sample is None else (sample["inputs"].shape[1:], sample["inputs"].dtype)
        self._thread, self._compiled = get_ident(), _frames_compiled()
        self._described: program.Arguments | None = None
        self._refused = ""  # why no program can come of the calls that were seen
        self._tried = self._said = False
        self._handle: RemovableHandle | None = None
        if isinstance(wanted, Mapping):
            self._take_over(wanted)
        elif wanted is None:
            self._tried = self._said = True
        elif wanted is True:
            self._watch()
        else:
            self._tried = True
            self._say(wanted or OFF)

    def _take_over(self, known: Mapping[str, Any]) -> None:
        self._tried = self._said = True
        try:
            self._put(Kind.PROGRAM, _text(known))
        except (program.ProgramError, TypeError, ValueError) as error:
            self._say(f"what was given as program= is none ({error})")

    def after_update(self) -> None:
        """Export, if that was not tried before and it is known what the model takes."""
        if self._tried or (self._described is None and self._sample is None and not self._refused):
            return
        self._tried = True
        try:
            self._put(Kind.PROGRAM, self._text())
            self._said = True
        except KeyboardInterrupt:
            raise
        except program.ProgramError as error:
            self._say(str(error))
        except BaseException as error:  # the model's own code was run: it may raise anything, and try to exit as well
            self._say(f"{type(error).__name__}: {error}")
        self._let_go()

    def close(self) -> None:
        """Take the hook away, and say why there is no program where nothing was said."""
        if not self._said:
            known = self._described is not None or self._sample is not None
            self._say(INTERRUPTED if self._tried else self._refused or (NO_UPDATE if known else NEVER_CALLED))
        self._described = None
        if self._handle is not None:
            self._handle.remove()
            self._handle = None

    def _watch(self) -> None:
        try:
            self._handle = self._model.register_forward_pre_hook(FirstCall(self._look), with_kwargs=True)
        except Exception as error:  # modules of TorchScript take none
            self._refused = f"the model takes no hook ({error})"

    def _look(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Keep what is needed to make such inputs again, and nothing of the batch."""
        if self._tried or self._described is not None or get_ident() != self._thread or not self._active():
            return
        try:
            described = program.describe_inputs(args, kwargs)
            strange = [type(leaf).__name__ for leaf in tree_leaves(described) if not isinstance(leaf, _PLAIN)]
        except Exception as error:
            strange = [f"{type(error).__name__}: {error}"]
        if strange:
            self._refused = f"the model was called with what is neither tensor nor plain value ({strange[0]})"
        else:
            self._described = described
            self._let_go()

    def _let_go(self) -> None:
        """Take the hook away, unless something was compiled, perhaps with it: that would be compiled again."""
        if self._handle is not None and _frames_compiled() == self._compiled:
            self._handle.remove()
            self._handle = None

    def _text(self) -> bytes:
        if self._described is not None:
            args, kwargs = program.example_inputs(self._described)
        elif self._sample is not None:
            args, kwargs = (self._example(*self._sample),), {}
        else:
            raise program.ProgramError(self._refused)
        with _muted():
            made = program.export_program(self._model, args, kwargs, take_inventory(self._model))
        return _text(made)

    def _example(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Tensor:
        """Two examples such as those of the sample, where the model is and of its type."""
        parameters = list(self._model.parameters())
        kind = torch.from_numpy(np.zeros(1, dtype.newbyteorder("="))).dtype
        if kind.is_floating_point:
            kind = next((each.dtype for each in parameters if each.dtype.is_floating_point), kind)
        return torch.zeros((2, *shape), dtype=kind, device=parameters[0].device)

    def _say(self, reason: str) -> None:
        self._said = True
        self._put(Kind.NOTE, note("no program", reason))


def _text(made: Mapping[str, Any]) -> bytes:
    text = json.dumps(dict(made), allow_nan=False, separators=(",", ":")).encode()
    if len(text) > MOST_PROGRAM:
        raise program.ProgramError(f"it takes {len(text):,} bytes, and a run holds at most {MOST_PROGRAM:,}")
    return text


def _frames_compiled() -> int:
    """How much Dynamo has compiled in this process; whether a compiled function knows of a hook cannot be asked."""
    try:
        from torch._dynamo import convert_frame  # not public: where it is gone, nothing counts as compiled

        return convert_frame.FRAME_COUNTER
    except (ImportError, AttributeError):
        return 0


@contextmanager
def _muted() -> Iterator[None]:
    """Drop what this thread prints: torch prints graphs that it cannot export, and a forward pass may print as well."""
    out, err = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = (each and _Muted(each) for each in (out, err))  # None where there is no console
    try:
        yield
    finally:
        sys.stdout, sys.stderr = out, err


class _Muted:
    """A stream that the thread which made it cannot be heard on."""

    def __init__(self, stream: Any) -> None:
        self._stream, self._thread = stream, get_ident()

    def write(self, text: str) -> int:
        """Drop the text of that thread, and pass on that of others."""
        return len(text) if get_ident() == self._thread else int(self._stream.write(text))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
