"""Features of the watched images in two dimensions, and how far an attack moves them. Pure numpy, no Textual."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from claf_engine.runs.examples import Answers

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
MARGIN = 1.08
"""How much wider the map is than what the basis was made of."""


@dataclass(frozen=True, eq=False)
class Basis:
    """A flat map of features: two orthonormal directions around a centre.

    Attributes:
        centre: (D,) in the middle of the map.
        axes: (D, 2) across and upwards.
        reach: half the sides of the map across and upwards, in the units of the features; above 0.
    """

    centre: Floats
    axes: Floats
    reach: tuple[float, float]

    def places(self, features: NDArray[np.floating]) -> Floats:
        """Where features (N, D) lie: (N, 2)."""
        found: Floats = (features.astype(np.float64) - self.centre) @ self.axes
        return found


def basis_of(before: Answers, after: Answers, labels: Ints) -> Basis:
    """The two directions in which classes lie farthest apart or, where that separates them less, images.

    Args:
        before: answers to the watched images, whose features (W, D) span the map.
        after: those to the attacked ones, which have to be on it too.
        labels: (W,) true classes.
    """
    features = before.features.astype(np.float64)
    means = class_means(features, labels)
    candidates = [_directions(means), _directions(features)]
    axes = max(candidates, key=lambda found: _separation(features @ found, labels))
    centre = features.mean(0)
    both = (np.concatenate([features, after.features.astype(np.float64)]) - centre) @ axes
    low, high = both.min(0), both.max(0)
    across, upwards = np.maximum((high - low) / 2 * MARGIN, 1e-9)
    return Basis(centre + axes @ ((low + high) / 2), axes, (float(across), float(upwards)))


def relative_displacement(before: Answers, after: Answers, labels: Ints) -> float | None:
    """How far the attack moves features on average, in mean distances between class means; None where there is none."""
    means = class_means(before.features.astype(np.float64), labels)
    if len(means) < 2:
        return None
    apart = np.linalg.norm(means[:, None] - means[None], axis=2)
    distance = float(apart[np.triu_indices(len(means), 1)].mean())
    moved = np.linalg.norm(after.features.astype(np.float64) - before.features, axis=1)
    return float(moved.mean()) / distance if distance > 0 else None


def class_means(features: Floats, labels: Ints) -> Floats:
    """Mean features of each class that there is, in the order of the labels: (K, D)."""
    return np.stack([features[labels == label].mean(0) for label in np.unique(labels)])


def _directions(points: Floats) -> Floats:
    """The two principal directions (D, 2) of points (N, D), each towards its largest coordinate."""
    _, _, rows = np.linalg.svd(points - points.mean(0), full_matrices=True)
    found = np.zeros((points.shape[1], 2))
    kept = rows[:2]
    signs = np.sign(kept[np.arange(len(kept)), np.abs(kept).argmax(1)])
    found[:, : len(kept)] = (kept * signs[:, None]).T
    return found


def _separation(places: Floats, labels: Ints) -> float:
    """The share of the variance of places (N, 2) that lies between classes."""
    total = float(places.var(0).sum())
    means = {label: places[labels == label].mean(0) for label in np.unique(labels)}
    between = float(np.stack([means[label] for label in labels]).var(0).sum())
    return between / total if total > 0 else 0.0
