"""XORD (Brutzkus & Globerson 2019): wider networks find all the patterns, and only then do they generalise.

    python examples/xord.py --filters 8 --seed 0

Points are d pairs of +-1; a point is positive when some pair is (1, 1) or (-1, -1). The network is
sum_i max_j relu(w_i . x_j) - sum_i max_j relu(u_i . x_j), trained with the hinge loss from a tiny Gaussian start.
"""

import argparse

import torch
from torch import nn

from wdyn import Recorder

PATTERNS = torch.tensor([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])


class MaxPool(nn.Module):
    """`filters` positive and `filters` negative filters of one pair each, the largest response counts."""

    def __init__(self, filters):
        super().__init__()
        self.w = nn.Linear(2, filters, bias=False)
        self.u = nn.Linear(2, filters, bias=False)

    def forward(self, pairs):  # (B, d, 2) -> (B,)
        return sum(s * torch.relu(f(pairs)).amax(1).sum(1) for s, f in ((1, self.w), (-1, self.u)))


def points(count, pairs, positive_share, generator):
    """Half of the points (or that share) are made positive by drawing pairs freely, the rest from the mixed pairs."""
    free = PATTERNS[torch.randint(0, 4, (count, pairs), generator=generator)]
    mixed = PATTERNS[torch.randint(2, 4, (count, pairs), generator=generator)]
    x = torch.where((torch.arange(count) < positive_share * count)[:, None, None], free, mixed)
    return x, torch.where((x.prod(2) > 0).any(1), 1.0, -1.0)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--filters", type=int, default=8)
    parser.add_argument("--pairs", type=int, default=27)
    parser.add_argument("--points", type=int, default=12)
    parser.add_argument("--lr", type=float, default=0.005)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run", help="run file; default checkpoints/<model>-<UTC time>.h5")
    args = parser.parse_args()

    generator = torch.Generator().manual_seed(args.seed)
    x, y = points(args.points, args.pairs, 0.5, generator)
    x_test, y_test = points(2000, args.pairs, 0.5, generator)
    model = MaxPool(args.filters)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=1e-5, generator=generator)
    optimizer = torch.optim.SGD(model.parameters(), lr=args.lr)

    with Recorder(model, args.run, sample=(x, y), metadata=vars(args)) as rec:  # the one added line
        for _ in range(args.steps):
            loss = torch.relu(1 - y * model(x)).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            rec.log(train_loss=loss.item())
            if loss.item() == 0:
                break
        errors = [(model(a).sign() != b).float().mean().item() for a, b in ((x, y), (x_test, y_test))]
        rec.log(train_error=errors[0], test_error=errors[1])
    print(f"training error {errors[0]:.3f}, test error {errors[1]:.3f}: wdyn analyze {rec.path}")


if __name__ == "__main__":
    main()
