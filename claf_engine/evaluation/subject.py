"""The images that a finished checkpoint is measured on: its run's own, or those of another source."""

from claf_engine.config import DataConfig, RunConfig
from claf_engine.config.registry import DATA
from claf_engine.data import Dataset
from claf_engine.models.network import CLASSIFIERS
from claf_engine.runs.header import CheckpointInfo
from claf_engine.terms.errors import CheckpointError, ConfigError, DataError
from claf_engine.training.methods import phases_of
from claf_engine.training.state import Cursor


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
        raise ConfigError(f"--data: {DATA.complaint(source)}") from error


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


def require_trained(info: CheckpointInfo, config: RunConfig, classifier: str) -> None:
    """Refuse to measure a classifier that holds nothing but the weights it was initialised with.

    Args:
        info: the checkpoint.
        config: the settings of its run.
        classifier: which one is to be measured.

    Raises:
        CheckpointError: there is no such classifier, its method does not train it, or had not begun to.
        ConfigError: the settings train nothing.
    """
    if classifier not in CLASSIFIERS:
        raise CheckpointError(f"there is no classifier {classifier!r}; a checkpoint has {', '.join(CLASSIFIERS)}")
    told = info.metadata.get("claf.trained_classifiers")
    trained = tuple(map(str, told)) if isinstance(told, list) else _trained_by(config)
    if classifier not in trained:
        where = "it was imported with" if isinstance(told, list) else f"its run (method {config.method}) trains"
        raise CheckpointError(
            f"the {classifier} classifier of {info.path.name} is untrained: {where} {' and '.join(trained) or 'none'}"
        )
    if told is None and classifier not in _begun(info, config):
        raise CheckpointError(
            f"the {classifier} classifier of {info.path.name} is untrained: it was saved in phase {info.phase!r}, too "
            "early; choose a later checkpoint of the run"
        )


def _trained_by(config: RunConfig) -> tuple[str, ...]:
    """The classifiers that a whole run trains."""
    return tuple(dict.fromkeys(phase.classifier for phase in phases_of(config) if phase.classifier is not None))


def _begun(info: CheckpointInfo, config: RunConfig) -> set[str | None]:
    """The classifiers that had taken a step when the checkpoint was saved."""
    try:
        cursor = Cursor(**info.metadata["claf.cursor"])
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{info.path} does not say how far its run had come ({error})") from error
    has_begun = cursor.epoch or cursor.part or cursor.sweep or cursor.batch
    return {phase.classifier for phase in phases_of(config)[: cursor.phase + bool(has_begun)]}
