from dataclasses import replace
from pathlib import Path

import pytest

from claf_engine import events as ev
from claf_tui.screens.dashboard_keys import key_hints
from claf_tui.screens.help import HelpScreen
from tests.tui.consoles import Held, console, screen_lines, screen_text, until
from tests.tui.scripted import robust_figure
from tests.tui.scripted_methods import METHODS, checked, collapsed, played, probe, released_code, started

TITLES = {
    "claf": ("2 SupCon loss", "3 attack classifier, adversarial accuracy"),
    "natural": ("2 cross-entropy loss", "3 learning rate"),
    "scl": ("2 SupCon loss", "3 learning rate"),
    "at": ("2 cross-entropy loss", "3 learning rate"),
    "fgsm": ("2 cross-entropy loss", "3 one-step attack against PGD"),
    "trades": ("2 TRADES loss", "3 learning rate"),
    "alp": ("2 ALP loss", "3 learning rate"),
    "clp": ("2 CLP loss", "3 learning rate"),
    "two-encoders": ("2 two-encoder loss", "3 learning rate"),
    "rocl": ("2 NT-Xent loss", "3 learning rate"),
    "rectifier": ("2 cross-entropy loss", "3 learning rate"),
    "pretext": ("2 rotation loss", "3 learning rate"),
    "acl": ("2 NT-Xent loss", "3 learning rate"),
    "defense-gan": ("2 critic loss", "3 learning rate"),
    "union": ("2 cross-entropy loss", "3 learning rate"),
}


def begun(directory: Path, method: str, *events: ev.Event) -> Held:
    run = directory / "run"
    return Held(started(run, method), ev.PhaseStarted(0, METHODS[method][0].name, 0), *events)


@pytest.mark.parametrize("method", METHODS)
async def test_a_run_of_every_method_fills_its_panels(tmp_path: Path, method: str) -> None:
    async with console(lambda _: played(tmp_path / "run", method), (140, 45)) as (app, _):
        await until(lambda: "FINISHED" in screen_text(app))
        await until(lambda: all(title in screen_text(app) for title in TITLES[method]))
        text = screen_text(app)
        assert all(part.title in text or part.name.replace("_", " ") in text for part in METHODS[method])
        assert text.count("robust 8/255 61.8%") == 1
        assert "no loss logged yet" not in text
        assert all(len(line) == 140 for line in screen_lines(app))


@pytest.mark.parametrize("method", ["claf", "fgsm", "rocl"])
async def test_a_narrow_screen_shows_every_panel_by_its_number(tmp_path: Path, method: str) -> None:
    async with console(lambda _: played(tmp_path / "run", method), (80, 24)) as (app, pilot):
        await until(lambda: "FINISHED" in screen_text(app))
        for key, title in (("3", TITLES[method][1]), ("2", TITLES[method][0]), ("4", "4 log"), ("1", "1 probe")):
            await pilot.press(key)
            await until(lambda title=title: title in screen_text(app))


async def test_before_its_first_step_a_run_names_its_loss_and_the_first_probe(tmp_path: Path) -> None:
    async with console(begun(tmp_path, "trades"), (140, 45)) as (app, _):
        await until(lambda: "2 TRADES loss" in screen_text(app))
        await until(lambda: "first probe after 2 epochs · p asks for one now" in screen_text(app))


async def test_a_watched_run_offers_no_probe(tmp_path: Path) -> None:
    async with console(begun(tmp_path, "at"), (140, 45), read_only=True) as (app, _):
        await until(lambda: "first probe after 2 epochs" in screen_text(app))
        assert "p asks" not in screen_text(app)


async def test_the_other_loss_is_named_and_shown(tmp_path: Path) -> None:
    async with console(lambda _: played(tmp_path / "run", "rocl"), (140, 45)) as (app, pilot):
        await until(lambda: "2 NT-Xent loss · o: cross-entropy loss" in screen_text(app))
        await pilot.press("o")
        await until(lambda: "2 cross-entropy loss · o: NT-Xent loss" in screen_text(app))
        assert "● fine-tuning" in screen_text(app)


@pytest.mark.parametrize("size", [(80, 24), (140, 45)])
async def test_a_collapse_stays_on_the_screen_until_it_is_acknowledged(tmp_path: Path, size: tuple[int, int]) -> None:
    collapse = checked(10, 2, 0.003, has_collapsed=True)
    events = checked(5, 1, 0.41), collapse, collapsed(10, 2)
    async with console(begun(tmp_path, "fgsm", *events), size) as (app, pilot):
        await until(lambda: "ALERT" in screen_text(app))
        assert "catastrophic overfitting in epoch 2" in screen_text(app)
        assert "a acknowledges" in screen_text(app)
        await until(lambda: "COLLAPSED" in screen_text(app) or size == (80, 24))
        await pilot.press("2", "4", "1")
        assert "ALERT" in screen_text(app)
        await pilot.press("a")
        await until(lambda: "ALERT" not in screen_text(app))
        await pilot.pause(0.3)
        assert "ALERT" not in screen_text(app)
        assert all(len(line) == size[0] for line in screen_lines(app))


async def test_acknowledging_one_alert_shows_the_next(tmp_path: Path) -> None:
    errors = [ev.Notice("error", "the disk is full", 3), ev.Notice("error", "the disk is still full", 4)]
    async with console(begun(tmp_path, "at", *errors), (80, 24)) as (app, pilot):
        await until(lambda: "ALERT · the disk is full · a acknowledges · 1 more" in screen_text(app))
        await pilot.press("a")
        await until(lambda: "ALERT · the disk is still full" in screen_text(app))
        await pilot.press("a", "a")
        await until(lambda: "ALERT" not in screen_text(app))


async def test_an_alert_rings_and_is_told_over_another_screen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rung: list[bool] = []
    engine = begun(tmp_path, "fgsm")
    async with console(engine, (80, 24)) as (app, pilot):
        monkeypatch.setattr(app, "bell", lambda: rung.append(True))
        await until(lambda: app.state.run)
        await pilot.press("question_mark")
        await until(lambda: isinstance(app.screen, HelpScreen))
        app.thread._put(collapsed(10, 2))
        await until(lambda: rung)
        await until(lambda: any("catastrophic overfitting" in note.message for note in app._notifications))
        await pilot.pause(0.3)
        assert rung == [True]


@pytest.mark.parametrize("size", [(80, 24), (100, 30), (140, 45)])
async def test_figures_without_a_ball_are_marked_at_every_size(tmp_path: Path, size: tuple[int, int]) -> None:
    robust = tuple(released_code(robust_figure(name, 0.6)) for name in ("8/255", "16/255"))
    async with console(begun(tmp_path, "at", probe(5, 0, "adversarial", robust=robust)), size) as (app, pilot):
        await until(lambda: "released-code 8/255 60.0%" in screen_text(app))
        assert "! released-code: not an ε-ball, moved up to 115/255" in screen_text(app)
        assert "robust" not in screen_text(app)
        await pilot.press("1", "1")
        await until(lambda: "1 probe · released-code: not an ε-ball" in screen_text(app))
        for widget in app.screen.walk_children():
            region = widget.region
            assert not widget.display or region.height == 0 or app.screen.region.contains_region(region)


async def test_the_l2_norm_is_named(tmp_path: Path) -> None:
    robust = (replace(robust_figure("0.5", 0.6), norm="l2"),)
    async with console(begun(tmp_path, "at", probe(5, 0, "adversarial", robust=robust)), (80, 24)) as (app, pilot):
        await until(lambda: "robust L2 0.5 60.0%" in screen_text(app))
        await pilot.press("1")
        await until(lambda: "1 probe · L2" in screen_text(app))
        assert "ε-ball" not in screen_text(app)


def test_keys_that_steer_are_named_only_where_they_work() -> None:
    assert "space" not in [key for key, _, _ in key_hints(can_steer=False, is_waiting=False)]
    assert key_hints(can_steer=True, is_waiting=True)[0][:2] == ("space", "go on")
