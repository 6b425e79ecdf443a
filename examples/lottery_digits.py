"""Winning tickets of LeNet-300-100 on scikit-learn's small digits, in seconds.

    wdyn lottery examples/lottery_digits.py --rounds 5 --controls 3

As Frankle & Carbin (2019): batches of 60, a start after Glorot, biases left alone, the output layer pruned at half the
rate. They train with Adam; Liu et al. (2018) report that with SGD at a larger learning rate the original start may give
no gain. To see for yourself, change OPTIMIZER and give another --folder.
"""

import torch
from torch import nn

OPTIMIZER = "adam"  # or "sgd"
STEPS, EVERY, BATCH = 600, 50, 60
RATE = {"fc3": 0.1, "*": 0.2}
METADATA = {"dataset": "scikit-learn digits", "optimizer": OPTIMIZER}


class LeNet300100(nn.Module):
    """The fully connected network of LeCun et al. (1998)."""

    def __init__(self, inputs, classes=10):
        super().__init__()
        self.fc1 = nn.Linear(inputs, 300)
        self.fc2 = nn.Linear(300, 100)
        self.fc3 = nn.Linear(100, classes)
        for layer in (self.fc1, self.fc2, self.fc3):
            nn.init.xavier_normal_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        return self.fc3(torch.relu(self.fc2(torch.relu(self.fc1(x)))))


def make_model():
    return LeNet300100(64)


def make_data():
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x, dtype=torch.float32) / 16, torch.tensor(y)
    return (x[720:], y[720:]), {"val": (x[:360], y[:360]), "test": (x[360:720], y[360:720])}


def make_sample(data):
    return data[1]["val"]


def train(model, data, recorder, start=0):
    fit(model, data, recorder, start, steps=STEPS, every=EVERY, optimizer=OPTIMIZER)


def fit(model, data, recorder, start, *, steps, every, optimizer):
    """Train from step `start` to `steps`, and evaluate every so many; the other two examples use it as well."""
    (x, y), held_out = data
    if optimizer == "adam":
        updates = torch.optim.Adam(model.parameters(), lr=1.2e-3)
    else:
        updates = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss_of = nn.CrossEntropyLoss()
    for step in range(start + 1, steps + 1):
        batch = torch.randint(len(x), (BATCH,))
        loss = loss_of(model(x[batch]), y[batch])
        updates.zero_grad()
        loss.backward()
        updates.step()
        if step % every == 0 or step == steps:
            recorder.log(train_loss=loss)
            for name, (images, labels) in held_out.items():
                with torch.no_grad():
                    scores = model(images)
                right = (scores.argmax(1) == labels).float().mean()
                recorder.log(**{f"{name}_loss": loss_of(scores, labels), f"{name}_accuracy": right})
