"""Conv-2 (two convolutions, three linear layers) on CIFAR-10 images, an ordinary script with one added line.

    python examples/cifar_conv.py --data FILE.npz

FILE.npz holds x_train, x_test (n, 32, 32, 3) uint8 and y_train, y_test (n,).
"""

import argparse

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from wdyn import Recorder, every


class Conv2(nn.Module):
    """The smallest VGG-like network of Frankle & Carbin (2019)."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 3, padding=1)
        self.conv2 = nn.Conv2d(64, 64, 3, padding=1)
        self.fc1 = nn.Linear(64 * 16 * 16, 256)
        self.fc2 = nn.Linear(256, 256)
        self.fc3 = nn.Linear(256, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv2(F.relu(self.conv1(x)))), 2)
        return self.fc3(F.relu(self.fc2(F.relu(self.fc1(x.flatten(1))))))


def load(path):
    with np.load(path) as file:
        missing = {"x_train", "y_train", "x_test", "y_test"} - set(file.files)
        if missing:
            raise SystemExit(f"{path}: lacks {', '.join(sorted(missing))}")
        arrays = [torch.tensor(file[name]) for name in ("x_train", "y_train", "x_test", "y_test")]
    x, y, x_val, y_val = arrays
    mean, std = x.float().mean((0, 1, 2)) / 255, x.float().std((0, 1, 2)) / 255
    scaled = [((part / 255 - mean) / std).permute(0, 3, 1, 2).contiguous() for part in (x, x_val)]
    return scaled[0], y.long(), scaled[1], y_val.long()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="npz file of images and labels")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--lr", type=float, default=2e-4)
    parser.add_argument("--every", type=int, default=10, help="record every Nth step: fc1 alone has 4 million weights")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", help="run file; default checkpoints/<model>-<UTC time>.h5")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x, y, x_val, y_val = load(args.data)
    model = Conv2()
    optimizer = torch.optim.Adam(model.parameters(), lr=args.lr)
    criterion = nn.CrossEntropyLoss()

    rec = Recorder(model, args.run, schedule=every(args.every), sample=(x_val[:500], y_val[:500]), metadata=vars(args))

    for epoch in range(args.epochs):
        for batch in torch.randperm(len(x)).split(60):
            loss = criterion(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rec.log(train_loss=loss.item())
        with torch.no_grad():
            scores = torch.cat([model(part) for part in x_val.split(500)])
        accuracy = (scores.argmax(1) == y_val).float().mean().item()
        rec.log(val_loss=criterion(scores, y_val).item(), val_accuracy=accuracy)
        print(f"epoch {epoch + 1}: validation accuracy {accuracy:.4f}")
    rec.close()
    print(f"now see how it learned: wdyn analyze {rec.path}")


if __name__ == "__main__":
    main()
