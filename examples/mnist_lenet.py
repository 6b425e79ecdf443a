"""LeNet-300-100 on MNIST, an ordinary training script with one added line.

python examples/mnist_lenet.py --data DIR     the four standard idx files, gzipped or not
python examples/mnist_lenet.py                scikit-learn's small digits instead
"""

import argparse
import gzip
from pathlib import Path

import numpy as np
import torch
from torch import nn

from wdyn import Recorder


class LeNet300100(nn.Module):
    """The fully connected network of LeCun et al. (1998)."""

    def __init__(self, inputs):
        super().__init__()
        self.fc1 = nn.Linear(inputs, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, 10)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def read_idx(folder, stem):
    """One idx file as an array: two zero bytes, type, number of axes, sizes, then the values."""
    path = next((p for p in (Path(folder, stem), Path(folder, stem + ".gz")) if p.exists()), None)
    if path is None:
        raise SystemExit(f"{folder}: no {stem} or {stem}.gz; --data wants the folder of the four MNIST files")
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    shape = np.frombuffer(raw, ">i4", count=raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


def mnist(folder):
    sets = [
        (read_idx(folder, f"{n}-images-idx3-ubyte"), read_idx(folder, f"{n}-labels-idx1-ubyte"))
        for n in ("train", "t10k")
    ]
    return [(torch.tensor(x).flatten(1) / 255, torch.tensor(y).long()) for x, y in sets]


def digits():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)
    return [(x[360:], y[360:]), (x[:360], y[:360])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="folder of the MNIST idx files")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="sgd")
    parser.add_argument("--lr", type=float, help="learning rate; default 3e-3 for sgd, 1.2e-3 for adam")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", help="run file; default checkpoints/<model>-<UTC time>.h5")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    (x, y), (x_val, y_val) = mnist(args.data) if args.data else digits()
    model = LeNet300100(x.shape[1])
    if args.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), lr=args.lr or 3e-3, momentum=0.9)
    else:
        optimizer = torch.optim.Adam(model.parameters(), lr=args.lr or 1.2e-3)
    criterion = nn.CrossEntropyLoss()

    rec = Recorder(model, args.run, sample=(x_val[:2000], y_val[:2000]), metadata=vars(args))  # the one added line

    for epoch in range(args.epochs):
        for batch in torch.randperm(len(x)).split(60):
            loss = criterion(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rec.log(train_loss=loss.item())  # optional: scalars for the page
        with torch.no_grad():
            scores = model(x_val)
        accuracy = (scores.argmax(1) == y_val).float().mean().item()
        rec.log(val_loss=criterion(scores, y_val).item(), val_accuracy=accuracy)
        print(f"epoch {epoch + 1}: validation accuracy {accuracy:.4f}")
    rec.close()
    print(f"now see how it learned: wdyn analyze {rec.path}")


if __name__ == "__main__":
    main()
