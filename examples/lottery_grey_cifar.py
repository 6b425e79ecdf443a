"""Winning tickets of LeNet-300-100 on CIFAR-10 made grey and 28 pixels wide: the network of MNIST, other pictures.

    wdyn lottery examples/lottery_grey_cifar.py --data FILE.npz --rounds 10 --early-stop val_loss --controls 3

FILE.npz holds x_train, x_test (n, 32, 32, 3) uint8 and y_train, y_test (n,). Pictures are cropped to their middle 28 x
28 pixels, so that a ticket found here fits the network of lottery_mnist.py, and the other way round.
"""

import numpy as np
import torch
from lottery_digits import LeNet300100, fit

OPTIMIZER = "adam"  # or "sgd"
STEPS, EVERY, VALIDATION = 5000, 100, 0.1  # share of the training pictures
RATE = {"fc3": 0.1, "*": 0.2}
METADATA = {"dataset": "grey CIFAR-10", "optimizer": OPTIMIZER}
GREY = np.array([0.299, 0.587, 0.114], np.float32)  # luma of ITU-R BT.601


def make_model():
    return LeNet300100(784)


def make_data(path):
    with np.load(path) as file:
        missing = {"x_train", "y_train", "x_test", "y_test"} - set(file.files)
        if missing:
            raise SystemExit(f"{path}: lacks {', '.join(sorted(missing))}")
        x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    x, x_test, y, y_test = grey(x), grey(x_test), torch.tensor(y).long(), torch.tensor(y_test).long()
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    val, rest = order[: int(VALIDATION * len(x))], order[int(VALIDATION * len(x)) :]
    return (x[rest], y[rest]), {"val": (x[val], y[val]), "test": (x_test, y_test)}


def grey(pictures):
    cropped = pictures[:, 2:30, 2:30].astype(np.float32) / 255
    return torch.tensor(cropped @ GREY).flatten(1)


def make_sample(data):
    images, labels = data[1]["val"]
    return images[:1000], labels[:1000]


def train(model, data, recorder, start=0):
    fit(model, data, recorder, start, steps=STEPS, every=EVERY, optimizer=OPTIMIZER)
