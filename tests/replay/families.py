"""Networks of every family that a program must replay, small, with inputs they take."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

GREY, COLOUR = (1, 28, 28), (3, 32, 32)


def lenet_300_100() -> nn.Module:
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10)
    )


class LeNet5(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)
        self.tanh = nn.Tanh()

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.tanh(self.conv1(x)), 2)
        x = F.max_pool2d(self.tanh(self.conv2(x)), 2).view(x.size(0), -1)
        return self.fc3(self.tanh(self.fc2(self.tanh(self.fc1(x)))))


def conv(depth: int) -> Callable[[], nn.Module]:
    """Conv-2, Conv-4 and Conv-6 of Frankle & Carbin (2019), narrower."""

    def make() -> nn.Module:
        layers: list[nn.Module] = []
        channels = 3
        for width in (8, 16, 32)[: depth // 2]:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, padding=1)]
            layers += [nn.ReLU(), nn.MaxPool2d(2)]
            channels = width
        size = channels * (32 >> depth // 2) ** 2
        head = [nn.Flatten(), nn.Linear(size, 32), nn.ReLU(), nn.Linear(32, 24), nn.ReLU(), nn.Linear(24, 10)]
        return nn.Sequential(*layers, *head)

    return make


def vgg_bn() -> nn.Module:
    layers: list[nn.Module] = []
    channels = 3
    for width in (8, 16, 16, 32):
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(inplace=True)]
        layers += [nn.MaxPool2d(2)]
        channels = width
    head = [nn.Flatten(), nn.Linear(128, 40), nn.ReLU(True), nn.Dropout(), nn.Linear(40, 10)]
    return nn.Sequential(*layers, *head)


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn1, self.bn2, self.relu = nn.BatchNorm2d(outputs), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)
        self.down = None
        if stride > 1 or inputs != outputs:
            self.down = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out += x if self.down is None else self.down(x)
        return self.relu(out)


class ResNet20(nn.Module):
    def __init__(self, width: int = 4) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        widths = [width] + [width << stage for stage in range(3) for _ in range(3)]
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(*(Block(a, b, 2 if b > a else 1) for a, b in pairwise(widths)))
        self.fc = nn.Linear(4 * width, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(self.relu(self.bn1(self.conv1(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


class Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mixed = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        b, t, width = x.shape
        parts = self.qkv(x).view(b, t, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(parts[0], parts[1], parts[2], is_causal=True)
        return self.out(self.mixed(mixed).transpose(1, 2).reshape(b, t, width))


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.attention = nn.LayerNorm(width), nn.LayerNorm(width), Attention(width, heads)
        self.fc1, self.fc2, self.drop = nn.Linear(width, 2 * width), nn.Linear(2 * width, width), nn.Dropout(0.1)
        self.gelu = nn.GELU()

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.drop(self.fc2(self.gelu(self.fc1(self.norm2(x)))))


class Transformer(nn.Module):
    """Two layers, causal, with a head tied to the embedding and positions that are no parameter."""

    def __init__(self, tokens: int = 30, width: int = 16) -> None:
        super().__init__()
        self.embed, self.head = nn.Embedding(tokens, width), nn.Linear(width, tokens, bias=False)
        self.layers, self.norm = nn.ModuleList([Layer(width, 4), Layer(width, 4)]), nn.LayerNorm(width)
        self.head.weight = self.embed.weight
        self.register_buffer("place", torch.sin(torch.arange(64.0)[:, None] / 1.5 ** torch.arange(width)), False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.embed(x) + self.place[: x.shape[1]]
        for layer in self.layers:
            x = layer(x)
        return self.head(self.norm(x))


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm, self.fc = nn.LSTM(6, 12, num_layers=2, batch_first=True), nn.Linear(12, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lstm(x)[0][:, -1])


class GroupedAndDeep(nn.Module):
    """GroupNorm and depthwise convolutions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(3, 12, 3, 2, 1), nn.GroupNorm(3, 12)
        self.depth, self.point = nn.Conv2d(12, 12, 3, padding=1, groups=12), nn.Conv2d(12, 20, 1)
        self.silu, self.relu6, self.relu, self.fc = nn.SiLU(), nn.ReLU6(), nn.ReLU(), nn.Linear(20, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.silu(self.norm(self.stem(x)))
        x = self.relu(self.point(self.relu6(self.depth(x))))
        return self.fc(x.mean((2, 3)))


class TwoHeads(nn.Module):
    """A dict of outputs, and an argument by name that is no tensor."""

    def __init__(self) -> None:
        super().__init__()
        self.body, self.left, self.right = nn.Linear(7, 20), nn.Linear(20, 5), nn.Linear(20, 3)
        self.act = nn.LeakyReLU()

    def forward(self, x: Tensor, scale: float = 1.0) -> dict[str, object]:
        hidden = self.act(self.body(x)) * scale
        return {"logits": self.left(hidden), "more": (self.right(hidden), None)}


def images(shape: tuple[int, ...]) -> Callable[[int], Tensor]:
    return lambda count: torch.randn(count, *shape)


FAMILIES: dict[str, tuple[Callable[[], nn.Module], Callable[[int], Tensor]]] = {
    "LeNet-300-100": (lenet_300_100, images(GREY)),
    "LeNet-5": (LeNet5, images(GREY)),
    "Conv-2": (conv(2), images(COLOUR)),
    "Conv-4": (conv(4), images(COLOUR)),
    "Conv-6": (conv(6), images(COLOUR)),
    "VGG-BN": (vgg_bn, images(COLOUR)),
    "ResNet-20": (ResNet20, images(COLOUR)),
    "transformer": (Transformer, lambda count: torch.randint(30, (count, 9))),
    "LSTM": (Recurrent, images((8, 6))),
    "GroupNorm and depthwise": (GroupedAndDeep, images((3, 16, 16))),
    "dict outputs": (TwoHeads, images((7,))),
}
