from dataclasses import replace

from textual.app import App

from claf_engine import events as ev
from claf_tui.screens.abandon_dialog import AbandonScreen, unsaved_run
from claf_tui.state import RunState
from tests.tui.consoles import screen_text, until

SAVED = ev.CheckpointSaved(1200, 0, "step-000001200.safetensors", 10, ("last",), 0.1)


async def shown(screen: AbandonScreen) -> str:
    app: App[None] = App()
    async with app.run_test(size=(80, 24)):
        await app.push_screen(screen)
        await until(lambda: "w wait" in screen_text(app))
        return screen_text(app)


async def test_it_says_how_many_steps_have_not_been_saved() -> None:
    assert "loses the 2,300 steps" in await shown(unsaved_run(RunState(step=3500, checkpoints=(SAVED,))))


async def test_without_a_checkpoint_every_step_is_lost() -> None:
    assert "loses the 3,500 steps" in await shown(unsaved_run(RunState(step=3500)))


async def test_a_checkpoint_of_a_later_step_loses_nothing() -> None:
    later = replace(SAVED, step=4000)
    assert "loses the 0 steps" in await shown(unsaved_run(RunState(step=3500, checkpoints=(later,))))
