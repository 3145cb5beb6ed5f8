import re
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_engine.config import RunConfig
from claf_tui.reports.report_page import Report, report_html
from claf_tui.runners.report import load_report
from claf_tui.state.album import NoPage, Page
from claf_tui.state.comparison import compare
from claf_tui.state.history import History
from tests.tui.compared import compared_folder, figure, read_folder, result
from tests.tui.scripted_examples import write_probes
from tests.tui.scripted_methods import collapsed, played
from tests.tui.widgets.pages import page_of

VOID = {"meta", "br", "img", "input", "link"}
HOSTILE = "</title><script>alert(1)</script><img src=http://x/ onerror=alert(1)>\"'&"


class Strict(HTMLParser):
    """Takes a page apart and notes what a browser would have to guess, fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.faults: list[str] = []
        self.text = ""
        self.ids: list[str] = []
        self.headings: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        if tag in {"script", "iframe", "object", "embed", "base", "form"}:
            self.faults.append(f"<{tag}>")
        self.ids += [str(named["id"])] if "id" in named else []
        for name, value in attrs:
            is_outside = name in {"src", "href", "xlink:href", "action"} and not str(value).startswith("data:")
            if name.startswith("on") or is_outside:
                self.faults.append(f"{name}={value}")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in VOID:
            self.faults.append(f"<{tag}/>")

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.faults.append(f"</{tag}> closes something else")

    def handle_data(self, data: str) -> None:
        if self.open[-1:] == ["h2"]:
            self.headings.append(data)
        self.text += data


def parsed(page: str) -> Strict:
    parser = Strict()
    parser.feed(page)
    parser.close()
    assert parser.open == []
    return parser


def written(folders: Sequence[Path], examples: Page | NoPage | None = None, history: History | None = None) -> str:
    runs = [read_folder(key, folder, (2.0,)) for key, folder in zip("ABCDEFGH", folders, strict=False)]
    shown = examples or NoPage("no probe has kept examples")
    return report_html(Report(compare(runs), history or History(), shown, None, 1_796_000_000.0, "0.1.0"))


def test_a_page_is_well_formed_needs_nothing_and_runs_nothing(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "20261124-080000-demo", method="at")
    found = parsed(written([folder], page_of()))
    assert found.faults == []
    assert len(found.ids) == len(set(found.ids))
    assert found.headings == [
        *("Curves", "Final figures", "Robustness card", "Examples", "Settings", "What happened"),
    ]


@pytest.mark.parametrize("count", [2, 8])
def test_runs_that_are_compared_come_first(tmp_path: Path, count: int) -> None:
    found = parsed(written([compared_folder(tmp_path, f"run-{number}", method="at") for number in range(count)]))
    assert found.faults == []
    assert found.headings[:3] == [f"Compared with {count - 1} other runs", "Curves of all runs", "Curves of run-0"]


def test_nothing_that_a_run_brings_becomes_markup(tmp_path: Path) -> None:
    events = list(played(tmp_path / "a", "at"))
    events[0] = ev.RunStarted(**{**vars(events[0]), "class_names": (HOSTILE,), "device": HOSTILE})
    told = [*events[:3], ev.Alert(3, "x", HOSTILE), ev.Notice("warning", HOSTILE, 3), *events[3:]]
    ended = result([figure(0.5, notice=HOSTILE, attack=HOSTILE)])
    folder = compared_folder(tmp_path, "a", method="at", events=told, results=[ended])
    page = report_html(load_report([folder]))
    found = parsed(page)
    assert found.faults == []
    assert "onerror=alert(1)" in found.text
    assert "<script" not in page


def test_what_happened_is_told_and_marked_on_the_curves(tmp_path: Path) -> None:
    events = list(played(tmp_path / "a", "at"))
    told = [*events[:4], ev.ValueEdited(5, "learning_rate", 0.1, 0.05), collapsed(5, 1), *events[4:]]
    page = report_html(load_report([compared_folder(tmp_path, "a", method="at", events=told)]))
    assert page.count("learning_rate: 0.1 → 0.05") > 1
    assert "mark edit" in page
    assert "mark alert" in page


def test_a_report_has_the_figures_intervals_settings_and_images_of_the_run(tmp_path: Path) -> None:
    folder = compared_folder(tmp_path, "a", method="at", settings=RunConfig(method="at", batch_size=17))
    write_probes(folder, (5, 10))
    page = report_html(load_report([folder]))
    text = parsed(page).text
    assert "90.0%" in text
    assert "95 %: [88.0, 91.7]" in text
    assert "batch_size" in text
    assert "2.14.0" in text
    assert page.count("data:image/png;base64,") == 24


def test_no_path_of_the_machine_is_told(tmp_path: Path) -> None:
    settings = RunConfig(method="at").model_copy(deep=True)
    data = settings.data.model_copy(update={"source": f"folder:{tmp_path}/my-images"})
    settings = settings.model_copy(update={"data": data})
    folders = [compared_folder(tmp_path, name, method="at", settings=settings) for name in "ab"]
    page = report_html(load_report(folders))
    assert str(tmp_path) not in page
    assert "folder:my-images" in page


def test_a_run_that_has_just_begun_is_a_page_too(tmp_path: Path) -> None:
    found = parsed(report_html(load_report([compared_folder(tmp_path, "a", events=[], status="running")])))
    assert found.faults == []
    assert "nothing was logged yet" in found.text


def test_the_page_forbids_the_browser_whatever_it_does_not_need(tmp_path: Path) -> None:
    page = written([compared_folder(tmp_path, "a", method="at")])
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)
    assert policy.startswith("default-src &#x27;none&#x27;;")
    assert "script" not in policy


def test_on_paper_a_report_is_white_and_no_page_ends_inside_a_chart_a_row_or_after_a_heading(tmp_path: Path) -> None:
    page = written([compared_folder(tmp_path, "20261124-080000-claf", method="claf")])
    paper = page[page.index("@media print") :]
    for rule in ("--ground: #fff", "h2, h3 { break-after: avoid; }", ".scroll { overflow: visible; }"):
        assert rule in paper
    whole = paper[: paper.index("{ break-inside: avoid; }")].rpartition("}")[2]
    assert {".figure", ".tile", ".example", ".examples", "tr"} == {name.strip() for name in whole.split(",")}
    assert page.count('<div class="figure">') > 0
