"""Libraries that claf-tui asks for: which are missing, and which are of a version that nobody tried; imports none."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import metadata

from packaging.requirements import Requirement

from claf_engine.selftest.findings import Row
from claf_engine.terms.installation import PROJECT, install_line
from claf_engine.terms.names import Verdict

TOOLS = "dev"
"""The extra of whoever changes claf-tui; nobody else misses it."""
PURPOSES = {
    "audit": "eval --attack autoattack, and the diagnostics square and ce-dlr-gap",
    "gpu": "load of a GPU in the console",
    "hf": "--data hf:PATH and parquet:PATH",
    "mlflow": "train --mlflow",
    "tensorboard": "train --tensorboard",
    "wandb": "train --wandb",
    "timm": "models of timm: --model timm:NAME",
    "onnx": "checkpoint export --format onnx",
    "torchvision": "--data torchvision:SVHN and others whose labels are in .mat files",
}
"""What each extra is for, by its name."""


@dataclass(frozen=True)
class Library:
    """One library that is asked for.

    Attributes:
        bounds: versions that are allowed, such as "<3,>=2.11".
        version: the one that is here; None where there is none.
        is_fit: whether it is within the bounds.
        extra: the optional part that needs it; empty where everything does.
    """

    name: str
    bounds: str
    version: str | None
    is_fit: bool
    extra: str


def library_rows() -> tuple[Row, ...]:
    """A row for all that is always needed, one for each library of it that is amiss, one for each extra."""
    found = tuple(libraries(_asked_for()))
    needed = [each for each in found if not each.extra]
    amiss = [row_of(each) for each in needed if not each.is_fit]
    extras = {each.extra: [other for other in found if other.extra == each.extra] for each in found if each.extra}
    return (_all_row(needed), *amiss, *(extra_row(name, parts) for name, parts in extras.items()))


def libraries(lines: Iterable[str]) -> Iterator[Library]:
    """What requirements ask for here, each with what is installed of it.

    Args:
        lines: as a package's metadata has them: `pyautoattack<0.3,>=0.2; extra == "audit"`.
    """
    for line in lines:
        requirement = Requirement(line)
        extra = _extra_of(requirement)
        if requirement.name == PROJECT or extra in {TOOLS, None}:
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = None
        is_fit = version is not None and requirement.specifier.contains(version, prereleases=True)
        yield Library(requirement.name, str(requirement.specifier), version, is_fit, extra or "")


def row_of(library: Library) -> Row:
    """A library that is needed, and is missing or of a version that nobody tried."""
    title, figure = library.name, library.version or "not installed"
    if library.version is None:
        return Row(title, title, "claf-tui needs it", "fails", figure, install_line())
    result = f"outside of {library.bounds}, which was tried"
    return Row(title, title, result, "warns", figure, install_line())


def extra_row(name: str, parts: Iterable[Library]) -> Row:
    """An optional part: here, or how to get it; doing without is no fault."""
    lacking = [each.name for each in parts if not each.is_fit]
    row, title, purpose = f"extra-{name}", f"extra {name}", PURPOSES.get(name, "optional")
    if not lacking:
        return Row(row, title, purpose, "passes", "installed")
    return Row(row, title, purpose, "passes", f"lacks {', '.join(lacking)}", install_line(name))


def _all_row(needed: list[Library]) -> Row:
    if not needed:
        return Row("libraries", "libraries", "claf-tui itself is not installed", "warns", "unknown", install_line())
    num_fit = sum(each.is_fit for each in needed)
    result = "within the bounds that were tried"
    verdict: Verdict = "passes" if num_fit == len(needed) else "warns"
    advice = "" if verdict == "passes" else "see the rows of those that are not"
    return Row("libraries", "libraries", result, verdict, f"{num_fit} of {len(needed)}", advice)


def _extra_of(requirement: Requirement) -> str | None:
    """The extra that a requirement belongs to, "" where it is always needed, None where it is not needed here."""
    marker = requirement.marker
    if marker is None or marker.evaluate({"extra": ""}):
        return ""
    names = metadata.metadata(PROJECT).get_all("Provides-Extra") or []
    return next((name for name in names if marker.evaluate({"extra": name})), None)


def _asked_for() -> list[str]:
    try:
        return metadata.requires(PROJECT) or []
    except metadata.PackageNotFoundError:
        return []
