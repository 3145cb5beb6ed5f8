"""Write `docs/results.md` and its charts from the files below `results/`: `python -m results.page [--check]`."""

from results.evidence import Evidence, read_evidence
from results.pictures import pictures
from results.sections import SECTIONS
from results.writing import run

PAGE, CHARTS = "results.md", "results-*.svg"


def rendered(evidence: Evidence) -> dict[str, str]:
    """The page and its charts, by file name."""
    sections = ("\n".join(section(evidence)).strip() for section in SECTIONS)
    charts = {f"results-{name}.svg": text for name, text in pictures(evidence).items()}
    return {PAGE: "\n\n".join(sections) + "\n", **charts}


def main() -> None:
    """Write the page and its charts, or check them."""
    run(__doc__, "results.page", CHARTS, lambda results: rendered(read_evidence(results)))


if __name__ == "__main__":
    main()
