"""Statistics of one tensor of a checkpoint, without loading the others. No torch.

Apart from `header`, because lists of runs and of checkpoints need no numpy, which takes a tenth of a second to load.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from claf_engine.runs.header import refuse_pickle, unreadable

UNKNOWN = {"BF16", "F8_E4M3", "F8_E5M2"}
"""Types that numpy has only where another library has brought them into this process."""


@dataclass(frozen=True)
class TensorStatistics:
    """Summary of one tensor; quantiles and histogram leave non-finite values out."""

    num_values: int
    num_nonfinite: int
    minimum: float
    maximum: float
    mean: float
    std: float
    zero_fraction: float
    quantiles: dict[str, float]
    histogram: tuple[int, ...]


def tensor_statistics(path: Path, name: str, *, bins: int = 40) -> TensorStatistics:
    """Read one tensor and summarise it.

    Raises:
        CheckpointError: the file or the tensor cannot be read.
    """
    refuse_pickle(path)
    try:
        with safe_open(path, framework="numpy") as file:
            if (dtype := file.get_slice(name).get_dtype()) in UNKNOWN:
                raise TypeError(f"numpy has no type {dtype}")
            values = np.asarray(file.get_tensor(name), dtype=np.float64).ravel()
    except (SafetensorError, OSError, TypeError, AttributeError) as error:
        raise unreadable(path, f"cannot read tensor {name!r} of {path}: {error}") from error
    finite = values[np.isfinite(values)]
    shown = finite if finite.size else np.zeros(1)
    quantiles = np.quantile(shown, [0.01, 0.25, 0.5, 0.75, 0.99])
    return TensorStatistics(
        num_values=values.size,
        num_nonfinite=int(values.size - finite.size),
        minimum=float(shown.min()),
        maximum=float(shown.max()),
        mean=float(shown.mean()),
        std=float(shown.std()),
        zero_fraction=float((values == 0).mean()) if values.size else 0.0,
        quantiles=dict(zip(("1%", "25%", "50%", "75%", "99%"), map(float, quantiles), strict=True)),
        histogram=_histogram(finite, bins),
    )


def _histogram(values: NDArray[np.float64], bins: int) -> tuple[int, ...]:
    """Counts in bins of equal width; one bin where the numbers are too close to be told apart."""
    try:
        counts = np.histogram(values, bins=bins)[0]
    except ValueError:
        counts = np.array([values.size])
    return tuple(int(count) for count in counts)
