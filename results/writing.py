"""A page of the docs and its charts, written from the files below `results/`, or checked against them."""

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path

RESULTS = Path(__file__).parent
DOCS = RESULTS.parent / "docs"


def stale(files: Mapping[str, str], docs: Path, charts: str) -> list[str]:
    """Names of files in a folder that are missing, other than rendered, or charts that are not rendered any more.

    Ends of lines do not count: a checkout may have changed them.

    Args:
        files: texts by name.
        docs: the folder.
        charts: a pattern for the names of the page's charts.
    """
    other = [name for name, text in files.items() if _text(docs / name) != text]
    return sorted([*other, *(path.name for path in docs.glob(charts) if path.name not in files)])


def write(files: Mapping[str, str], docs: Path, charts: str) -> None:
    """Write what is rendered, and remove charts that are not any more; arguments as `stale`."""
    for name in stale(files, docs, charts):
        if name in files:
            (docs / name).write_text(files[name], encoding="utf-8", newline="\n")
        else:
            (docs / name).unlink()


def run(doc: str | None, module: str, charts: str, render: Callable[[Path], dict[str, str]]) -> None:
    """The command line of a page: write it, or with --check say what is not as the files have it, with exit code 1.

    Args:
        doc: of the module, whose first line describes the command.
        module: to run again.
        charts: as in `stale`.
        render: a folder of evidence to texts by name.
    """
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument(
        "--check", action="store_true", help="write nothing; fail if the page is not as the files have it"
    )
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the files")
    parser.add_argument("--docs", type=Path, default=DOCS, help="folder of the page")
    arguments = parser.parse_args()
    try:
        files = render(arguments.results)
    except (OSError, ValueError, KeyError) as error:
        told = f"lacks {error}" if isinstance(error, KeyError) else f"cannot be read: {error}"
        raise SystemExit(f"error: a file below {arguments.results} {told}; collect it again") from error
    if not arguments.check:
        write(files, arguments.docs, charts)
    elif names := stale(files, arguments.docs, charts):
        raise SystemExit(f"error: {', '.join(names)}: not as the files have it; run `python -m {module}`")


def _text(path: Path) -> str | None:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else None
