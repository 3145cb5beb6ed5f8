"""Write `docs/results.md` and its charts from the files below `results/`: `python -m results.page [--check]`."""

import argparse
from collections.abc import Mapping
from pathlib import Path

from results.evidence import Evidence, read_evidence
from results.pictures import pictures
from results.sections import SECTIONS

RESULTS = Path(__file__).parent
DOCS = RESULTS.parent / "docs"
PAGE, CHARTS = "results.md", "results-*.svg"


def rendered(evidence: Evidence) -> dict[str, str]:
    """The page and its charts, by file name."""
    sections = ("\n".join(section(evidence)).strip() for section in SECTIONS)
    charts = {f"results-{name}.svg": text for name, text in pictures(evidence).items()}
    return {PAGE: "\n\n".join(sections) + "\n", **charts}


def stale(files: Mapping[str, str], docs: Path) -> list[str]:
    """Names of files in a folder that are missing, other than rendered, or charts that are not rendered any more.

    Ends of lines do not count: a checkout may have changed them.
    """
    other = [name for name, text in files.items() if _text(docs / name) != text]
    return sorted([*other, *(path.name for path in docs.glob(CHARTS) if path.name not in files)])


def write(files: Mapping[str, str], docs: Path) -> None:
    """Write what is rendered, and remove charts that are not any more."""
    for name in stale(files, docs):
        if name in files:
            (docs / name).write_text(files[name], encoding="utf-8", newline="\n")
        else:
            (docs / name).unlink()


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None


def main() -> None:
    """Write the page, or with --check say what is not as the files have it, with exit code 1."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page is not as the files have it"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the files")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    arguments = parser.parse_args()
    try:
        files = rendered(read_evidence(arguments.results))
    except (OSError, ValueError, KeyError) as error:
        told = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise SystemExit(f"error: a file below {arguments.results} {told}; collect it again") from error
    if not arguments.check:
        write(files, arguments.docs)
    elif names := stale(files, arguments.docs):
        raise SystemExit(f"error: {', '.join(names)}: not as the files have it; run `python -m results.page`")


if __name__ == "__main__":
    main()
