from collections.abc import Iterator
from typing import Any

import pytest

from claf_engine.config.presets import preset_names, resolve_config
from claf_engine.config.registry import METHODS
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.method_pages import METHOD_PAGES
from claf_engine.training.methods import units_per_image
from claf_tui.reports.methods import NOTHING_KNOWN, list_lines, method_sheet, method_sheets, page_lines


@pytest.fixture
def plugin_method() -> Iterator[str]:
    def mine(_: Any) -> tuple[()]:
        """Pulls logits\x1b[31m together. Needs a margin."""
        return ()

    METHODS.add("mine", mine)
    yield "mine"
    del METHODS.entries["mine"]


def test_every_method_of_ours_has_a_page_and_every_packaged_preset_stands_in_one() -> None:
    sheets = method_sheets()
    assert [sheet.name for sheet in sheets] == list(METHOD_PAGES)
    assert sorted(cost.preset for sheet in sheets for cost in sheet.costs) == sorted(preset_names())


def test_a_preset_costs_what_a_run_of_it_does() -> None:
    for sheet in method_sheets():
        cost = sheet.costs[0]
        assert cost.units == pytest.approx(units_per_image(resolve_config(cost.preset)))


def test_the_preset_of_a_method_s_own_name_comes_first() -> None:
    assert [method_sheet(name).costs[0].preset for name in ("claf", "trades", "at")] == ["paper", "trades", "at-madry"]
    assert method_sheet("trades").command == "claf-tui train --preset trades --dry-run"


@pytest.mark.parametrize("width", [40, 80, 120])
def test_no_line_is_wider_than_its_room(width: int) -> None:
    lines = [
        *list_lines(method_sheets(), width),
        *(line for each in method_sheets() for line in page_lines(each, width)),
    ]
    assert max(map(len, lines)) <= width


def test_a_page_says_what_it_is_what_it_costs_what_is_known_and_what_to_type() -> None:
    text = " ".join(" ".join(page_lines(method_sheet("alp"), 80)).split())
    for words in (
        "alp · Adversarial logit pairing",
        "Kannan et al. 2018",
        "never believe ten steps",
        "docs/methods.md#alp",
    ):
        assert words in text
    assert "what Natural and attacked images" in text
    assert "next claf-tui train --preset alp --dry-run" in text


def test_a_plugin_s_method_says_what_its_function_says_in_clean_text(plugin_method: str) -> None:
    sheet = method_sheet(plugin_method)
    assert sheet.title.startswith("Pulls logits")
    assert "\x1b" not in "".join(page_lines(sheet, 80))
    assert sheet.known == NOTHING_KNOWN
    assert sheet.command == "claf-tui train --method mine --dry-run"


def test_an_unknown_method_is_a_sentence_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="unknown method 'trade'.* did you mean trades"):
        method_sheet("trade")
