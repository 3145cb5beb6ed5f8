"""Names of images and networks that settings and options may have: ours, of libraries, and the registered ones."""

from pathlib import Path

from claf_engine.config.registry import DATA, LIBRARIES, MODELS, data_name, library_of
from claf_engine.config.sources import TORCHVISION, TORCHVISION_NAMES, absolute_source, file_of, is_ours
from claf_engine.config.suggestion import suggestion
from claf_engine.terms.errors import ConfigError


def require_source(source: str) -> str:
    """Give a data source back, for a check of a setting.

    Raises:
        ValueError: there is none of this form.
    """
    if is_ours(source) or data_name(source) in DATA.entries:
        return source
    if (file := file_of(source)) is not None:
        raise ValueError(
            f"{source!r} is a function of a file that was not named on the command line; add --plugin {file}"
        )
    if source.startswith(TORCHVISION):
        name, by_lower = source.removeprefix(TORCHVISION), {known.lower(): known for known in TORCHVISION_NAMES}
        meant = suggestion(by_lower.get(name.lower(), name), TORCHVISION_NAMES)
        raise ValueError(f"{source!r} is none that is read; of torchvision use {', '.join(TORCHVISION_NAMES)}{meant}")
    raise ValueError(DATA.complaint(source))


def named_source(source: str) -> str:
    """The data source that `--data` names, with an absolute path.

    Raises:
        ConfigError: there is none of this form.
    """
    try:
        return require_source(absolute_source(source, Path()))
    except ValueError as error:
        raise ConfigError(f"--data: {error}") from error


def require_architecture(name: str) -> str:
    """Give an architecture back, for a check of a setting; whether a library has it is found when it is built.

    Raises:
        ValueError: it is neither ours, nor a library's, nor registered.
    """
    if name in LIBRARIES:
        raise ValueError(f"{name} is a library: say which of its models, such as {name}:resnet50")
    return name if library_of(name) else MODELS.require(name)
