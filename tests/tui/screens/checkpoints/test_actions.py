import json
from pathlib import Path

import pytest

from claf_engine.runs.header import read_info
from claf_tui.screens.checkpoints.actions import (
    evaluate_command,
    figure_lines,
    last_sentence,
    refusal_to_delete,
    trained_classifiers,
    typed_command,
)
from tests.tui.hostile import EVERYTHING
from tests.tui.screens.browsing import FIGURES, FakeEntry, list_entries, trained
from tests.tui.scripted import write_checkpoint
from tests.tui.scripted_audit import DETECTOR


@pytest.mark.parametrize(
    ("metadata", "names"),
    [
        ({}, ("attack",)),
        (trained([], ["encoder+adversarial"]), ("adversarial",)),
        (trained(["natural"]), ("natural",)),
        (trained(["natural", "attack"], ["features", "attack"]), ("attack", "natural")),
        (trained([], []), ("attack",)),
        (trained([], ["features"]), ("attack",)),
        ({**trained([], ["features"]), "claf.begun_classifiers": ["attack"]}, ("attack",)),
        ({**trained(["natural"]), "claf.begun_classifiers": ["natural", "attack"]}, ("attack", "natural")),
        ({**trained([]), "claf.begun_classifiers": []}, ()),
        ({"claf.ledger": "odd", "claf.optimizers": []}, ("attack",)),
    ],
)
def test_only_trained_classifiers_are_offered(
    tmp_path: Path, metadata: dict[str, object], names: tuple[str, ...]
) -> None:
    assert trained_classifiers(read_info(write_checkpoint(tmp_path, 1, extra=metadata))) == names


def test_an_evaluation_without_a_ball_is_marked() -> None:
    item = {**FIGURES["robust"][0], "space": "released-code", "largest_distance": 115 / 255}  # type: ignore[dict-item]
    lines = [line.plain for line in figure_lines(json.dumps({**FIGURES, "robust": [item]}), 54)]
    assert lines[0].strip() == "! released-code: not an ε-ball, moved up to 115/255"
    assert any("8/255 (no ball)" in line for line in lines)


def test_an_evaluation_names_the_l2_norm() -> None:
    item = {**FIGURES["robust"][0], "norm": "l2"}  # type: ignore[dict-item]
    lines = [line.plain for line in figure_lines(json.dumps({**FIGURES, "robust": [item]}), 54)]
    assert any("L2 8/255" in line for line in lines)


def entry(path: Path) -> FakeEntry:
    return FakeEntry(path, read_info(path) if path.exists() else None)


def test_what_may_not_be_deleted(run: Path) -> None:
    entries = list_entries(run)
    newest, _, oldest = entries
    assert refusal_to_delete(oldest, entries, run, is_live=True) == ""
    assert "newest" in refusal_to_delete(newest, entries, run, is_live=True)
    assert refusal_to_delete(newest, entries, run, is_live=False) == ""
    assert "only" in refusal_to_delete(newest, [newest], run, is_live=False)


@pytest.mark.parametrize("name", ["../step-1.safetensors", "../../x.safetensors", "checkpoints/../../y.safetensors"])
def test_nothing_outside_the_checkpoints_folder_is_deleted(run: Path, name: str) -> None:
    outside = FakeEntry(run / "checkpoints" / name, None)
    assert "does not lie in" in refusal_to_delete(outside, list_entries(run), run, is_live=False)


def test_a_linked_folder_does_not_lead_outside(run: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (run / "checkpoints" / "link").symlink_to(tmp_path / "elsewhere")
    outside = FakeEntry(run / "checkpoints" / "link" / "step-1.safetensors", None)
    assert "does not lie in" in refusal_to_delete(outside, list_entries(run), run, is_live=False)


@pytest.mark.parametrize("output", ["", "no json", "[]", "{}", '{"natural_accuracy": "x", "robust": []}'])
def test_an_evaluation_that_prints_no_figures_is_an_error(output: str) -> None:
    with pytest.raises(ValueError, match="."):
        figure_lines(output, 60)


def test_the_typed_command_quotes_its_path() -> None:
    assert typed_command(Path("/a b/$(x).safetensors")) == "claf-tui eval '/a b/$(x).safetensors'"


def test_the_command_asks_the_chosen_classifier() -> None:
    assert typed_command(Path("a.safetensors"), "natural") == "claf-tui eval a.safetensors --classifier natural"
    assert evaluate_command(Path("a.safetensors"), "natural")[3:] == [
        "eval",
        "a.safetensors",
        "--classifier",
        "natural",
        "--json",
    ]


def test_the_last_sentence_is_clean() -> None:
    assert last_sentence(f"Traceback\n\n{EVERYTHING}\n\n").isprintable()
    assert last_sentence("") == "the command failed without saying why"


def test_figures_behind_a_defence_name_the_attacker_and_a_detector_stands_below() -> None:
    robust = [
        {**FIGURES["robust"][0], "defence": "median:2", "knowledge": knowledge}
        for knowledge in ("oblivious", "adaptive")
    ]
    record = {**FIGURES, "robust": robust, "detector": DETECTOR}
    lines = [line.plain for line in figure_lines(json.dumps(record), 54)]
    assert sum("pgd-10, oblivious" in line or "pgd-10, adaptive" in line for line in lines) == 2
    assert any("squeezing:median:2 rejects scores above 1.14" in line for line in lines)
