"""How much longer does a training step take when every step is kept, and what do people do today for that?

    python benchmarks/bench_record.py [--rounds 5] [--threads 1] [--device cpu] [--only lenet] [--folder DIR]

The same training, again and again in turn: nothing kept; one copy into memory that is reused; that copy and one write
of it, the least that keeps a step at all; a Recorder; `torch.save` of the state dict; an append to HDF5 by h5py;
TensorBoard histograms; safetensors. The time of a step is that of the whole loop, with what a way still has to write
at its end, over its steps; waiting for the disk to sync is in none of them. Nor is packing, another process after the
training, see bench_pack.py. Ways whose package is missing are left out (`pip install -e '.[bench]'`).
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from wdyn.record import packing
from wdyn.record.recorder import Recorder

packing.pack = lambda run_file: None
Keep = Callable[[int], None]
END = -1  # the step at which a way is to write what waits


class Residual(nn.Module):  # noqa: D101
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False), nn.BatchNorm2d(outputs),
        )  # fmt: skip
        same = inputs == outputs and stride == 1
        self.past = nn.Identity() if same else nn.Conv2d(inputs, outputs, 1, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return torch.relu(self.body(x) + self.past(x))


def lenet() -> tuple[nn.Module, Tensor, int]:
    layers = (nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
    return nn.Sequential(*layers), torch.randn(60, 784), 300


def deep() -> tuple[nn.Module, Tensor, int]:
    """52 small tensors: here the calls cost more than the bytes."""
    layers = [part for _ in range(25) for part in (nn.Linear(64, 64), nn.ReLU())]
    return nn.Sequential(*layers, nn.Linear(64, 10)), torch.randn(60, 64), 200


def resnet_18() -> tuple[nn.Module, Tensor, int]:
    """11.2 million parameters, 45 MB a step."""
    sizes = [(64, 64, 1), (64, 64, 1), (64, 128, 2), (128, 128, 1), (128, 256, 2), (256, 256, 1), (256, 512, 2)]
    blocks = [Residual(*size) for size in [*sizes, (512, 512, 1)]]
    stem = (nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return nn.Sequential(*stem, *blocks, *end), torch.randn(8, 3, 32, 32), 12


MODELS = {"lenet": lenet, "deep": deep, "resnet18": resnet_18}


@contextlib.contextmanager
def nothing(model: nn.Module, folder: Path) -> Iterator[Keep]:
    yield lambda step: None


def buffer_of(model: nn.Module) -> tuple[list[Tensor], list[Tensor], Tensor]:
    """The model's tensors, and memory that all of them fit into, as one and as views."""
    tensors = list(model.state_dict(keep_vars=True).values())
    sizes = [-(-t.numel() * t.element_size() // 8) * 8 for t in tensors]
    memory = torch.empty(sum(sizes), dtype=torch.uint8, pin_memory=tensors[0].is_cuda)
    views, at = [], 0
    for tensor, size in zip(tensors, sizes, strict=True):
        part = memory[at : at + tensor.numel() * tensor.element_size()]
        views.append(part.view(tensor.dtype).view(tensor.shape))
        at += size
    return tensors, views, memory


@contextlib.contextmanager
def copy(model: nn.Module, folder: Path) -> Iterator[Keep]:
    tensors, views, _ = buffer_of(model)

    def keep(step: int) -> None:
        with torch.no_grad():
            torch._foreach_copy_(views, tensors)

    yield keep


@contextlib.contextmanager
def copy_and_write(model: nn.Module, folder: Path) -> Iterator[Keep]:
    tensors, views, memory = buffer_of(model)
    data = memory.numpy().data
    file = os.open(folder / "raw", os.O_WRONLY | os.O_CREAT)

    def keep(step: int) -> None:
        with torch.no_grad():
            torch._foreach_copy_(views, tensors)
        os.write(file, data)

    yield keep
    os.close(file)


@contextlib.contextmanager
def wdyn(model: nn.Module, folder: Path) -> Iterator[Keep]:
    with Recorder(model, folder / "run.h5", program=False) as rec:

        def keep(step: int) -> None:
            if step == END:
                while rec._tape.camera.pool.in_use:
                    time.sleep(1e-4)

        yield keep


@contextlib.contextmanager
def torch_save(model: nn.Module, folder: Path) -> Iterator[Keep]:
    yield lambda step: torch.save(model.state_dict(), folder / f"{step}.pt")


@contextlib.contextmanager
def h5py_append(model: nn.Module, folder: Path) -> Iterator[Keep]:
    import h5py

    with h5py.File(folder / "run.h5", "w") as file:
        for name, tensor in model.state_dict().items():
            shape = tuple(tensor.shape)
            kind = str(tensor.dtype).removeprefix("torch.")
            file.create_dataset(name, (0, *shape), kind, maxshape=(None, *shape), chunks=(1, *shape))

        def keep(step: int) -> None:
            for name, tensor in model.state_dict().items():
                dataset = file[name]
                dataset.resize(len(dataset) + 1, axis=0)
                dataset[-1] = tensor.cpu().numpy()

        yield keep


@contextlib.contextmanager
def histograms(model: nn.Module, folder: Path) -> Iterator[Keep]:
    from torch.utils.tensorboard import SummaryWriter

    with SummaryWriter(str(folder)) as writer:

        def keep(step: int) -> None:
            for name, parameter in model.named_parameters():
                writer.add_histogram(name, parameter, step)

        yield keep


@contextlib.contextmanager
def safetensors(model: nn.Module, folder: Path) -> Iterator[Keep]:
    from safetensors.torch import save_file

    yield lambda step: save_file(model.state_dict(), folder / f"{step}.safetensors")


WAYS = {
    "nothing": nothing, "one copy": copy, "copy and write": copy_and_write, "wdyn": wdyn, "torch.save": torch_save,
    "h5py append": h5py_append, "safetensors": safetensors, "TensorBoard histograms": histograms,
}  # fmt: skip
FEWER = {"TensorBoard histograms": 10}  # so much slower that fewer steps tell enough


def milliseconds(make: Callable[[], Any], way: Any, steps: int, place: Path, device: str) -> float:
    """Of one step of a training, the end of its keeping included."""
    torch.manual_seed(0)
    model, x, _ = make()
    model, x = model.to(device), x.to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    finish = torch.cuda.synchronize if device == "cuda" else (lambda: None)

    def step() -> None:
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    folder = Path(tempfile.mkdtemp(dir=place))
    try:
        with way(model, folder) as keep:
            for number in range(10):  # caches, allocators, first buffers
                step()
                keep(number)
            finish()
            begin = time.perf_counter()
            for number in range(10, 10 + steps):
                step()
                keep(number)
            finish()
            if way is wdyn:
                keep(END)
            took = time.perf_counter() - begin
        return 1000 * took / steps
    finally:
        shutil.rmtree(folder)


def compare(name: str, args: argparse.Namespace, place: Path) -> None:
    make = MODELS[name]
    steps = make()[2] * (args.more if args.device == "cuda" else 1)
    times: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(args.rounds):
        for way, run in WAYS.items():
            with contextlib.suppress(ImportError):
                fewer = max(3, steps // FEWER.get(way, 1))
                times[way].append(milliseconds(make, run, fewer, place, args.device))
    size = sum(t.numel() * t.element_size() for t in make()[0].state_dict().values())
    print(f"\n{name}: {size / 1e6:.2f} MB a step, {steps} steps, {args.rounds} rounds, {args.device}, "
          f"{args.threads} threads")  # fmt: skip
    print(f"{'':24}{'ms a step':>10}{'added':>10}{'of copy+write':>15}{'of torch.save':>15}")
    middle = {way: median(each) for way, each in times.items() if each}
    added = {way: each - middle["nothing"] for way, each in middle.items()}
    for way, each in middle.items():
        limit, saved = added[way] / added["copy and write"], added[way] / added["torch.save"]
        print(f"{way:24}{each:10.3f}{added[way]:10.3f}{limit:15.2f}{saved:15.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--more", type=int, default=3, help="times as many steps on cuda")
    parser.add_argument("--only", choices=MODELS, action="append")
    parser.add_argument("--folder", type=Path, help="on the disk in question; default the system's temporary folder")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(dir=args.folder) as place:
        for name in args.only or MODELS:
            compare(name, args, Path(place))


if __name__ == "__main__":
    main()
