"""XORD (Brutzkus & Globerson 2019): more filters reach zero error more often, and then are right everywhere more often.

    python examples/xord.py

Points are rows of 2d signs, read as d pairs; positive are those in which some pair is (1, 1) or (-1, -1). The network
is sum_i max_j relu(w_i x_j) - sum_i max_j relu(u_i x_j) over pairs x_j: k filters w and k filters u of two weights,
trained from a tiny Gaussian start by gradient descent on the hinge loss. All 4^d points are the test. Networks of as
many filters are trained side by side, each on its own points, and recorded in one file: their filters follow one
another in the rows of a layer.
"""

import argparse
import itertools
from pathlib import Path

import numpy as np
import torch
from torch import nn

import wdyn
from wdyn import Recorder, every

PATTERNS = np.array([[1, 1], [-1, -1], [1, -1], [-1, 1]]) / np.sqrt(2)


class Networks(nn.Module):
    """Several networks: points (networks, points, pairs, 2) to outputs (networks, points)."""

    def __init__(self, networks, filters):
        super().__init__()
        self.shape = networks, filters, 2
        self.positive = nn.Linear(2, networks * filters, bias=False)
        self.negative = nn.Linear(2, networks * filters, bias=False)

    def forward(self, x):
        return self.side(self.positive, x) - self.side(self.negative, x)

    def side(self, layer, x):
        responses = torch.einsum("npjc,nfc->npfj", x, layer.weight.view(self.shape))
        return torch.relu(responses).amax(3).sum(2)


def every_point(pairs):
    x = torch.tensor(list(itertools.product([-1.0, 1.0], repeat=2 * pairs))).view(-1, pairs, 2)
    return x, torch.where((x.prod(2) > 0).any(1), 1.0, -1.0)


def training_points(args):
    """As many of either label for each network, the same for all numbers of filters."""
    generator = torch.Generator().manual_seed(args.seed)
    x, y = every_point(args.pairs)
    rows = [torch.nonzero(y == label)[:, 0] for label in (1.0, -1.0)]
    shape = args.networks, args.points
    at = torch.cat([each[torch.randint(len(each), shape, generator=generator)] for each in rows], dim=1)
    return x[at], y[at]


def train(args, filters, path):
    """Which networks get their own points right, and which get all points right?"""
    x, y = training_points(args)
    torch.manual_seed(args.seed + filters)
    model = Networks(args.networks, filters)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=1e-4)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.rate)

    with Recorder(model, path, schedule=every(20)):  # the one added line
        for _ in range(args.steps):
            loss = torch.relu(args.margin - y * model(x)).mean(1).sum()  # each network has a gradient of its own
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        points, labels = every_point(args.pairs)
        right = labels * model(points.expand(args.networks, -1, -1, -1)) > 0
        return (y * model(x) > 0).all(1).numpy(), right.all(1).numpy()


def angles(path, fits):
    """Degrees between each active filter of the networks that fit and its nearest pattern, read from the file."""
    run, found = wdyn.open_run(path), []
    for layer in run.layers:
        weights = run.neurons(layer, int(run.steps[-1])).astype(np.float64).reshape(len(fits), -1, 2)[fits]
        lengths = np.linalg.norm(weights, axis=2)
        active = lengths > 0.1 * lengths.max(axis=1, keepdims=True, initial=0)
        cosine = (weights @ PATTERNS.T).max(axis=2)[active] / lengths[active]
        found.append(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    return np.concatenate(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filters", type=int, nargs="+", default=[2, 4, 16], help="of either sign")
    parser.add_argument("--networks", type=int, default=40)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--points", type=int, default=20, help="training points of either label")
    parser.add_argument("--margin", type=float, default=8.0)
    parser.add_argument("--rate", type=float, default=0.05)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--runs", type=Path, default=Path("checkpoints/xord"), help="folder for the run files")
    args = parser.parse_args()
    print("filters  no training error  of those no error at all  active filters within 1 degree of a pattern, median")
    for filters in args.filters:
        path = args.runs / f"filters-{filters}.h5"
        fits, right = train(args, filters, path)
        off = angles(path, fits)
        print(
            f"{filters:7} {fits.sum():8} of {len(fits):<6} {(fits & right).sum():16} of {fits.sum():<5}"
            f" {(off < 1).sum():16} of {len(off):<5} {np.median(off):20.2f}"
        )
    print(f"now see how they learned: wdyn analyze {path}")


if __name__ == "__main__":
    main()
