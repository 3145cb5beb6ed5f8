"""The images that a finished checkpoint is measured on: its run's own, or those of another source."""

from claf_engine.config import DataConfig, RunConfig
from claf_engine.data import Dataset
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import ConfigError, DataError


def data_config(config: RunConfig, source: str | None, num_train: int | None = 1) -> DataConfig:
    """The images of a run, or those of another source.

    Args:
        config: of the run.
        source: another source than the run's, or None.
        num_train: training images of another source, which may have fewer than the run's; None is all.

    Raises:
        ConfigError: the source has no such form.
    """
    if source is None:
        return config.data
    try:
        sizes = {"num_train": num_train, "num_validation": 1, "num_test": None}
        return DataConfig.model_validate({**config.data.model_dump(), "source": source, **sizes})
    except ValueError as error:
        raise ConfigError(f"--data {source}: use shapes, cifar10 or folder:PATH") from error


def require_same_classes(info: CheckpointInfo, data: Dataset) -> None:
    """Refuse images of other classes than a checkpoint was trained on.

    Raises:
        DataError: they have other classes.
    """
    trained = tuple(info.metadata["claf.class_names"])
    if trained != data.class_names:
        raise DataError(
            f"the checkpoint was trained on classes {', '.join(trained[:4])}, ..., but {data.name} has "
            f"{', '.join(data.class_names[:4])}, ...; choose the data it was trained on"
        )
