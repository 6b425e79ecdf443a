"""Networks of the kinds that make exporting and observing hard."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch import nn


class Net(nn.Module):
    """Dropout, BatchNorm, buffers of both kinds and an argument by name."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.drop = nn.Conv1d(1, 4, 2), nn.BatchNorm1d(4), nn.Dropout(0.3)
        self.fc = nn.Linear(12, 2)
        self.register_buffer("calls", torch.zeros(1))
        self.register_buffer("scratch", torch.zeros(1), persistent=False)

    def forward(self, x, *, scale=1.0):
        return self.fc(self.drop(torch.relu(self.norm(self.conv(x.unsqueeze(1))))).flatten(1)) * scale


class Branching(Net):
    """Does one thing or another, depending on its values: no graph can say that."""

    def forward(self, x, *, scale=1.0):
        if not self.training:
            print("here")  # noqa: T201
        return super().forward(x, scale=scale) * (2 if x.sum() > 0 else 1)


class Uncopyable(Net):
    def __deepcopy__(self, memo):
        raise TypeError("a lock inside")


class OnlyTrains(Net):
    def forward(self, x, *, scale=1.0):
        if not self.training:
            raise RuntimeError("no eval mode")
        return super().forward(x, scale=scale)


class Wild(Net):
    """Whatever can be thrown is thrown when it is exported, and what it can reach it changes before."""

    error: type[BaseException] = MemoryError

    def forward(self, x, *, scale=1.0):
        if not self.training:
            torch.manual_seed(5)
            torch.rand(3), random.random(), np.random.rand()  # noqa: NPY002 the global one is what it reaches
            raise self.error("wild")
        return super().forward(x, scale=scale)


def endless(self, x, **_):
    return endless(self, x)


class Endless(Net):
    def forward(self, x, *, scale=1.0):
        return super().forward(x, scale=scale) if self.training else endless(self, x)


class Calls:
    """A user's forward hook that counts."""

    def __init__(self, module):
        self.count = 0
        module.register_forward_pre_hook(self)
        module.fc.register_forward_hook(self)

    def __call__(self, *_):
        self.count += 1
