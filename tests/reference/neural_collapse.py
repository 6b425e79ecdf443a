"""NC1 to NC4 as they are defined, with whole covariance matrices and loops over classes and points."""

from __future__ import annotations

import math

import numpy as np


def means(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    return np.array([features[labels == c].mean(axis=0) for c in range(labels.max() + 1)])


def nc1(features: np.ndarray, labels: np.ndarray) -> float:
    mu = means(features, labels)
    overall, (classes, inputs) = mu.mean(axis=0), mu.shape
    between, within = np.zeros((inputs, inputs)), np.zeros((inputs, inputs))
    for c in range(classes):
        between += np.outer(mu[c] - overall, mu[c] - overall) / classes
        points = features[labels == c]
        for h in points:
            within += np.outer(h - mu[c], h - mu[c]) / (len(points) * classes)
    return float(np.trace(within @ np.linalg.pinv(between, rcond=1e-10, hermitian=True)) / classes)


def nc2(vectors: np.ndarray) -> tuple[float, float, float]:
    centred = [v - vectors.mean(axis=0) for v in vectors]
    norms = [math.sqrt(math.fsum(v * v)) for v in centred]
    classes, cosines = len(norms), []
    for i in range(classes):
        for j in range(classes):
            if i != j:
                cosines.append(math.fsum(centred[i] * centred[j]) / (norms[i] * norms[j]))
    average = math.fsum(cosines) / len(cosines)
    length = math.fsum(norms) / classes
    return (
        math.sqrt(math.fsum((n - length) ** 2 for n in norms) / classes) / length,
        math.sqrt(math.fsum((c - average) ** 2 for c in cosines) / len(cosines)),
        math.fsum(abs(c + 1 / (classes - 1)) for c in cosines) / len(cosines),
    )


def nc3(weights: np.ndarray, mu: np.ndarray) -> float:
    centred = mu - mu.mean(axis=0)
    w, m = math.sqrt(math.fsum(weights.ravel() ** 2)), math.sqrt(math.fsum(centred.ravel() ** 2))
    return math.fsum((a / w - b / m) ** 2 for a, b in zip(weights.ravel(), centred.ravel(), strict=True))


def nc4(features: np.ndarray, mu: np.ndarray, weights: np.ndarray, bias: np.ndarray) -> float:
    wrong = 0
    for h in features:
        says = max(range(len(bias)), key=lambda c: float(weights[c] @ h + bias[c]))
        nearest = min(range(len(mu)), key=lambda c: float(((h - mu[c]) ** 2).sum()))
        wrong += says != nearest
    return wrong / len(features)
