"""Which trackers there are, and whether what they need is installed."""

from collections.abc import Iterable
from importlib.util import find_spec
from typing import Literal

from claf_engine.terms.errors import DeviceError
from claf_engine.terms.installation import install_line
from claf_tui.runners.trackers.tracking import Tracker

TrackerName = Literal["tensorboard", "wandb", "mlflow"]
LIBRARIES: dict[TrackerName, str] = {"tensorboard": "tensorboardX", "wandb": "wandb", "mlflow": "mlflow"}
"""The module of each, which is also the extra's reason; an extra has the tracker's name."""


def require_installed(names: Iterable[TrackerName]) -> None:
    """Refuse trackers whose libraries are not here, before a run begins.

    Raises:
        DeviceError: one is not installed.
    """
    for name in names:
        if find_spec(LIBRARIES[name]) is None:
            raise DeviceError(f"--{name} needs {LIBRARIES[name]}; get it with {install_line(name)}")


def make_trackers(names: Iterable[TrackerName]) -> list[Tracker]:
    """The trackers of these names, none of which has begun."""
    from claf_tui.runners.trackers.mlflow import MlFlow
    from claf_tui.runners.trackers.tensorboard import TensorBoard
    from claf_tui.runners.trackers.wandb import WeightsAndBiases

    classes: dict[TrackerName, type[Tracker]] = {
        "tensorboard": TensorBoard,
        "wandb": WeightsAndBiases,
        "mlflow": MlFlow,
    }
    return [classes[name]() for name in names]
