import pytest
from textual.app import App

from claf_tui.screens.card import CardScreen
from claf_tui.widgets.robustness_curve import RobustnessCurve
from tests.tui.consoles import SIZES, screen_lines, screen_text, until
from tests.tui.scripted_audit import attack, card


class CardApp(App[None]):
    CSS_PATH = "../../../claf_tui/console/console.tcss"

    def __init__(self, made: dict[str, object]) -> None:
        super().__init__()
        self._made = made

    def on_mount(self) -> None:
        self.push_screen(CardScreen(self._made))


@pytest.mark.parametrize("size", SIZES)
async def test_a_card_shows_figures_diagnostics_attacks_and_provenance(size: tuple[int, int]) -> None:
    app = CardApp(card())
    async with app.run_test(size=size) as pilot:
        await until(lambda: "AUDIT FAILS" in screen_text(app))
        assert "27.3%" in screen_lines(app)[2]
        assert all(len(line) == size[0] for line in screen_lines(app))
        seen = set()
        for _ in range(12):
            seen |= set(screen_lines(app))
            await pilot.press("pagedown")
            await pilot.pause()
        text = "\n".join(seen)
        assert all(
            word in text for word in ("diagnostics", "attacks", "accuracy over ε", "how to repeat it", "versions")
        )


async def test_a_card_of_one_radius_has_no_curve() -> None:
    app = CardApp(card(attacks=[attack("PGD-10 at 8/255", "8/255", 0.4)]))
    async with app.run_test(size=(140, 45)):
        await until(lambda: "how to repeat it" in screen_text(app))
        assert not app.screen.query(RobustnessCurve)


async def test_escape_leaves_the_card() -> None:
    app = CardApp(card())
    async with app.run_test(size=(80, 24)) as pilot:
        await until(lambda: isinstance(app.screen, CardScreen))
        await pilot.press("escape")
        await until(lambda: not isinstance(app.screen, CardScreen))
