"""Condensation (Zhou et al. 2022): from a tiny start, all neurons of a tanh network fall onto one line.

    python examples/condensation.py --seed 0

A 5-50-1 network, 80 points of sum_k 3.5 sin(5 x_k + 1), every parameter drawn from N(0, 0.005^2), Adam on all
points at once.
"""

import argparse

import torch
from torch import nn

from wdyn import Recorder


class TwoLayers(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(5, 50)
        self.out = nn.Linear(50, 1)

    def forward(self, x):
        return self.out(torch.tanh(self.hidden(x)))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", help="run file; default checkpoints/<model>-<UTC time>.h5")
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    x = torch.rand(80, 5) * 8 - 4
    y = (3.5 * torch.sin(5 * x + 1)).sum(1, keepdim=True)
    model = TwoLayers()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.005)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    with Recorder(model, args.run, sample=(x, y), metadata=vars(args)) as rec:  # the one added line
        for _ in range(args.steps):
            loss = nn.functional.mse_loss(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rec.log(train_loss=loss.item())
    print(f"now see how it learned: wdyn analyze {rec.path}")


if __name__ == "__main__":
    main()
