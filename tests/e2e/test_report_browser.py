"""A report opens in a real browser without a network, and the browser has nothing to complain of."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from claf_tui.reports.report_page import report_html
from claf_tui.runners.report import load_report
from tests.tui.compared import compared_folder
from tests.tui.scripted_examples import write_probes

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
BROWSER = next((path for name in NAMES if (path := shutil.which(name))), None)
OPTIONS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-component-update"),
    *("--disable-background-networking", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars"),
    *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", "--window-size=1000,1400"),
)
COMPLAINT = re.compile(r":CONSOLE[:(].*")
REQUEST = re.compile(r'"initiator":"(?!not an origin")[^"]*"')
"""Of a page; those of the browser itself have no origin."""
SECONDS = 100

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(2 * SECONDS),
    pytest.mark.skipif(BROWSER is None, reason=f"no browser: none of {', '.join(NAMES)} is on the path"),
]


@dataclass(frozen=True)
class Opened:
    """What the browser shows of a page, what it writes to its console, and what the page asks the network for."""

    shown: Image.Image
    complaints: list[str]
    requests: list[str]


def opened(page: str, folder: Path, *more: str) -> Opened:
    (folder / "page.html").write_text(page, encoding="utf-8")
    arguments = (f"--user-data-dir={folder / 'profile'}", f"--screenshot={folder / 'page.png'}")
    log = folder / "net.json"
    done = subprocess.run(
        [str(BROWSER), *OPTIONS, *arguments, f"--log-net-log={log}", *more, (folder / "page.html").as_uri()],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=True,
    )
    shown = Image.open(folder / "page.png").convert("RGB")
    return Opened(shown, COMPLAINT.findall(done.stderr), REQUEST.findall(log.read_text(encoding="utf-8")))


def test_a_complaint_and_a_request_would_be_noticed(tmp_path: Path) -> None:
    found = opened("<img src='http://outside.invalid/x.png'><script>throw Error('x')</script>", tmp_path)
    assert (len(found.complaints), len(found.requests)) == (1, 1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_report_opens_without_a_network_and_without_a_complaint(tmp_path: Path, scheme: str) -> None:
    folders = [compared_folder(tmp_path, f"20261124-080000-{name}", method=name) for name in ("claf", "at", "trades")]
    write_probes(folders[0], (20, 40))
    preferred = f"--blink-settings=preferredColorScheme={int(scheme == 'light')}"
    found = opened(report_html(load_report(folders)), tmp_path, preferred)
    assert (found.complaints, found.requests) == ([], [])
    assert (found.shown.getpixel((5, 5)) > (200, 200, 200)) is (scheme == "light")  # type: ignore[operator]
    colours = found.shown.getcolors(maxcolors=2**24)
    assert colours is not None
    assert len(colours) > 200
