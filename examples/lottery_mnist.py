"""Winning tickets of LeNet-300-100 on MNIST.

    wdyn lottery examples/lottery_mnist.py --data DIR --rounds 10 --early-stop val_loss --controls 3

DIR holds the four standard idx files, gzipped or not. The protocol is that of lottery_digits.py. Validation is on 5,000
of the 60,000 training images; the test images are not looked at while tickets are chosen.
"""

import torch
from lottery_digits import LeNet300100, fit
from mnist_lenet import mnist

OPTIMIZER = "adam"  # or "sgd"
STEPS, EVERY, VALIDATION = 5000, 100, 5000  # Frankle & Carbin train for 50,000 steps
RATE = {"fc3": 0.1, "*": 0.2}
METADATA = {"dataset": "MNIST", "optimizer": OPTIMIZER}


def make_model():
    return LeNet300100(784)


def make_data(path):
    (x, y), (x_test, y_test) = mnist(path)
    order = torch.randperm(len(x), generator=torch.Generator().manual_seed(0))
    val, rest = order[:VALIDATION], order[VALIDATION:]
    return (x[rest], y[rest]), {"val": (x[val], y[val]), "test": (x_test, y_test)}


def make_sample(data):
    images, labels = data[1]["val"]
    return images[:1000], labels[:1000]


def train(model, data, recorder, start=0):
    fit(model, data, recorder, start, steps=STEPS, every=EVERY, optimizer=OPTIMIZER)
