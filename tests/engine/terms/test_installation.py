import json
import shlex
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from claf_engine.terms.installation import install_line

PIP = [sys.executable, "-m", "pip", "install"]


class Installed:
    """What pip or uv left beside an installed project."""

    def __init__(self, origin: Mapping[str, Any] | None, installer: str = "pip\n") -> None:
        self.files = {"INSTALLER": installer, "direct_url.json": origin and json.dumps(origin)}

    def read_text(self, name: str) -> str | None:
        return self.files[name]


def line_of(monkeypatch: pytest.MonkeyPatch, installed: Installed, extra: str = "audit") -> list[str]:
    monkeypatch.setattr(metadata, "distribution", lambda _: installed)
    return shlex.split(install_line(extra))


def test_from_a_checkout_the_extra_comes_from_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    editable = Installed({"url": checkout.as_uri(), "dir_info": {"editable": True}})
    assert line_of(monkeypatch, editable) == [*PIP, "-e", f"{checkout}[audit]"]
    assert line_of(monkeypatch, Installed({"url": checkout.as_uri(), "dir_info": {}}), "") == [*PIP, str(checkout)]


def test_from_a_wheel_the_extra_comes_from_the_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "claf_tui-0.1.0-py3-none-any.whl"
    wheel.touch()
    assert line_of(monkeypatch, Installed({"url": wheel.as_uri(), "archive_info": {}})) == [*PIP, f"{wheel}[audit]"]


def test_from_git_the_extra_comes_from_the_same_repository_and_revision(monkeypatch: pytest.MonkeyPatch) -> None:
    vcs = {"vcs": "git", "commit_id": "a" * 40, "requested_revision": "v1"}
    installed = Installed({"url": "https://example.org/claf.git", "vcs_info": vcs})
    assert line_of(monkeypatch, installed) == [*PIP, "claf-tui[audit] @ git+https://example.org/claf.git@v1"]


def test_from_an_address_the_extra_comes_from_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = Installed({"url": "https://example.org/claf.whl", "archive_info": {}})
    assert line_of(monkeypatch, installed) == [*PIP, "claf-tui[audit] @ https://example.org/claf.whl"]


def test_uv_is_told_which_python_because_its_environments_have_no_pip(monkeypatch: pytest.MonkeyPatch) -> None:
    line = line_of(monkeypatch, Installed(None, "uv"))
    assert line == ["uv", "pip", "install", "--python", sys.executable, ".[audit]"]


@pytest.mark.parametrize("origin", [None, {"url": "file:///gone/claf.whl", "archive_info": {}}])
def test_where_the_source_is_gone_no_index_is_asked_for_a_name_that_may_be_somebody_elses(
    origin: Mapping[str, Any] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert line_of(monkeypatch, Installed(origin)) == [*PIP, ".[audit]"]


def test_where_nothing_is_installed_a_checkout_is_what_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", refuse)
    assert shlex.split(install_line()) == [*PIP, "."]
