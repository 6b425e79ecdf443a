"""Networks that memorise (Zhang et al. 2016) are hurt by fewer ablations (Morcos et al. 2018).

    python examples/random_labels.py [--data DIR] [--seeds 3]

Four LeNet-300-100 learn the same images until they know almost all labels, of which 0, 25, 50 or 100 % are drawn at
random. Each is recorded, and read back from its file: units of fc1 go in random order, and the area under the curve of
accuracy, as a share of the intact network's, tells how much the network leans on each of them. DIR holds MNIST's idx
files; without it the small digits of scikit-learn are learned.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from mnist_lenet import LeNet300100, digits, mnist
from torch import nn

import wdyn
from wdyn import Recorder, log_spaced

IMAGES, ORDERS, POINTS = 1000, 20, 50


def train(x, y, path):
    """Learn until 99.5 % of the labels are known."""
    model = LeNet300100(x.shape[1])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with Recorder(model, path, schedule=log_spaced(), sample=(x, y)) as rec:  # the one added line
        for _ in range(400):
            for batch in torch.split(torch.randperm(len(x)), 50):
                loss = nn.functional.cross_entropy(model(x[batch]), y[batch])
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
            accuracy = (model(x).argmax(1) == y).float().mean().item()
            rec.log(train_accuracy=accuracy)
            if accuracy >= 0.995:
                break
    return rec.path


def area(path, seed):
    """Mean area under the curve of accuracy / intact accuracy over random orders of removal, in [0, 1]."""
    with wdyn.open_run(path) as run:
        ablation = wdyn.evaluator(run)
        units = ablation.places["fc1"].units
        removed = np.linspace(0, units, POINTS).round().astype(int)
        rng = np.random.default_rng(seed)
        ranks = [rng.permutation(units) for _ in range(ORDERS)]
        gone = np.array([rank < count for rank in ranks for count in removed])
        score = ablation.at(int(run.steps[-1])).scores({"fc1": gone}).score.reshape(ORDERS, POINTS)
    return float(np.trapezoid(score / score[:, :1], removed / units, axis=1).mean())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of MNIST's idx files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--runs", type=Path, default=Path("checkpoints"), help="folder for the run files")
    args = parser.parse_args()
    x, labels = (each[:IMAGES] for each in (mnist(args.data) if args.data else digits())[0])
    print("random labels   area under the ablation curve, one network per seed")
    for share in (0.0, 0.25, 0.5, 1.0):
        areas = []
        for seed in range(args.seeds):
            torch.manual_seed(seed)
            drawn = torch.rand(len(labels)) < share
            y = torch.where(drawn, torch.randint(10, labels.shape), labels)
            path = train(x, y, args.runs / f"random-labels-{round(100 * share)}-{seed}.h5")
            areas.append(area(path, seed))
        print(f"{share:13.0%}   {'  '.join(f'{each:.3f}' for each in areas)}   mean {np.mean(areas):.3f}", flush=True)


if __name__ == "__main__":
    main()
