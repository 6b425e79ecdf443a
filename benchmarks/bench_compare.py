"""How long does a comparison of ten tickets of a network of ResNet-18's size take, and how much memory?

python benchmarks/bench_compare.py                          one start for all: the most work
python benchmarks/bench_compare.py --starts 10              every ticket from a start of its own
"""

import argparse
import itertools
import resource
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from wdyn import load_analysis, open_run
from wdyn.journal.append import SegmentWriter, segment_path
from wdyn.journal.frame import Kind, encode_arrays
from wdyn.journal.schema import Schema, TensorSpec
from wdyn.places import parts_folder
from wdyn.report.jobs import KEPT_BYTES
from wdyn.store.pack import pack
from wdyn.store.run import Layer


def resnet_18() -> dict[str, tuple[int, ...]]:
    """Shapes of the convolutions and of the output layer: 11,678,912 weights."""
    shapes: dict[str, tuple[int, ...]] = {"conv1": (64, 3, 7, 7)}
    inputs = 64
    for stage, width in enumerate((64, 128, 256, 512), start=1):
        for block in range(2):
            shapes[f"layer{stage}.{block}.conv1"] = (width, inputs, 3, 3)
            shapes[f"layer{stage}.{block}.conv2"] = (width, width, 3, 3)
            if inputs != width:
                shapes[f"layer{stage}.{block}.downsample"] = (width, inputs, 1, 1)
            inputs = width
    return shapes | {"fc": (1000, 512)}


def layer(name: str, shape: tuple[int, ...]) -> Layer:
    kind = "Linear" if len(shape) == 2 else "Conv2d"
    return Layer(name, f"{name}.weight", shape[0], int(np.prod(shape[1:])), 0, 0, 1, kind, None)


def write_ticket(path: Path, shapes: dict[str, tuple[int, ...]], *, start: int, seed: int, density: float) -> Path:
    """A run of two steps: a start, and a mask that follows its magnitudes and a training of its own."""
    specs = tuple(TensorSpec(f"{name}.weight", "weight", "float32", shape) for name, shape in shapes.items())
    facts = {
        "format": 1, "wdyn": "bench", "torch": "none", "python": "3", "run_id": f"{seed:032x}", "created": "2026-01-01",
        "model": "ResNet18", "optimizer": "SGD", "schedule": "every(1)", "left_out": [], "tied": {}, "metadata": {},
        "layers": [layer(name, shape)._asdict() for name, shape in shapes.items()],
    }  # fmt: skip
    folder = parts_folder(path)
    folder.mkdir(parents=True)
    schema = Schema(specs, facts)
    text = schema.to_json()
    births, training = np.random.default_rng(start), np.random.default_rng([1, 7, seed])
    first = [births.standard_normal(shape, dtype=np.float32) for shape in shapes.values()]
    last = [values + training.standard_normal(values.shape, dtype=np.float32) for values in first]
    masks = {}
    for spec, values in zip(specs, last, strict=True):
        kept = np.abs(values) >= np.quantile(np.abs(values), 1 - density)
        masks[spec.name] = np.packbits(kept.ravel(), bitorder="little")
    writer = SegmentWriter(segment_path(folder, 0), schema_checksum(text))
    writer.append(Kind.SCHEMA, text, step=0, time=0.0)
    writer.append(Kind.MASKS, encode_arrays(masks), step=0, time=0.0)
    for step, arrays in ((0, first), (100, last)):
        writer.append(Kind.STEP, b"".join(each.tobytes() for each in arrays), step=step, time=float(step))
    writer.close()
    pack(path)
    return path


def schema_checksum(text: bytes) -> int:
    from isal.isal_zlib import crc32

    return int(crc32(text))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--starts", type=int, default=1)
    parser.add_argument("--density", type=float, default=0.2)
    args = parser.parse_args()
    shapes = resnet_18()
    weights = sum(int(np.prod(shape)) for shape in shapes.values())
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPoolExecutor(1, get_context("spawn")) as apart:  # so that the peak is that of comparing
            works = [
                apart.submit(
                    write_ticket, Path(folder, f"{i}.h5"), shapes, start=i % args.starts, seed=i, density=args.density
                )
                for i in range(args.runs)
            ]
            files = [work.result() for work in works]
        pairs = len(list(itertools.combinations(range(args.runs), 2)))
        print(f"{args.runs} tickets, {args.starts} starts, {weights:,} weights, {pairs} pairs, {len(shapes)} layers")
        runs = [open_run(file, keep=KEPT_BYTES // len(files)) for file in files]
        with threadpool_limits(1):
            for name in ("tickets", "frame_potential_between", "similarity_graph_between"):
                began, before = time.perf_counter(), time.process_time()
                load_analysis(name).compute(runs)
                took, busy = time.perf_counter() - began, time.process_time() - before
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                print(f"{name}: {took:.1f} s, {busy:.1f} s of one core; peak so far {peak / 1024:,.0f} MB")


if __name__ == "__main__":
    main()
