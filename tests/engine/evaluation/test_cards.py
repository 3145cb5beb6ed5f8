import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from claf_engine.evaluation.cards import card_folder, find_card, home_of, standing, standing_of_run, write_card
from tests.tui.scripted import write_checkpoint

SHA = "0" * 64


def card(**changes: Any) -> dict[str, Any]:
    """A card with everything that finding and drawing one needs."""
    figure = {"accuracy": 0.5, "interval": [0.4, 0.6]}
    claim = {"epsilon": "8/255", "norm": "linf", "space": "pixel"}
    told: dict[str, Any] = {
        "format": 1,
        "kind": "audit",
        "verdict": "passes",
        **claim,
        "epsilons": ["8/255"],
        "num_examples": 100,
        "natural": figure,
        "worst_case": {**figure, **claim, "num_attacks": 2, "is_per_example": True, "is_epsilon_ball": True},
        "attacks": [],
        "diagnostics": [],
        "notices": [],
        "versions": {"torch": "2"},
        "weights_sha256": SHA,
        "date": "2026-01-01T00:00:00+00:00",
    }
    texts = ("run", "method", "checkpoint", "data", "seed", "device", "config_sha256", "command")
    return {**dict.fromkeys(texts, "x"), **told, "classifier": "natural", "budget": "quick", **changes}


def keep(run: Path, **changes: Any) -> None:
    """Write a card of a checkpoint of the run, in a folder of its own."""
    name = "-".join(str(changes.get(key, "")) for key in ("kind", "budget", "space", "epsilons", "date"))
    write_card(card(**changes), card_folder(run / "checkpoints" / "step-1.safetensors", name.replace("/", "-")))


def found(run: Path, **asked: Any) -> str:
    """The verdict of the card that is found."""
    return str((find_card(run, SHA, "natural", **asked) or {}).get("verdict"))


def test_a_card_is_found_by_weights_and_classifier_alone(tmp_path: Path) -> None:
    keep(tmp_path)
    assert find_card(tmp_path, SHA, "natural") == card()
    assert find_card(tmp_path, "1" * 64, "natural") is None
    assert find_card(tmp_path, SHA, "adversarial") is None


def test_weights_whose_hashes_only_begin_alike_are_not_taken_for_each_other(tmp_path: Path) -> None:
    keep(tmp_path)
    assert find_card(tmp_path, "0" * 63 + "1", "natural") is None


def test_a_classifier_whose_name_begins_like_another_is_not_taken_for_it(tmp_path: Path) -> None:
    keep(tmp_path, classifier="natural-other")
    assert find_card(tmp_path, SHA, "natural") is None


def test_a_card_lies_in_its_folder_for_programs_and_for_people(tmp_path: Path) -> None:
    folder = card_folder(tmp_path / "checkpoints" / "step-1.safetensors", "natural")
    write_card(card(), folder)
    assert folder == tmp_path / "audit" / "step-1-natural"
    assert json.loads((folder / "card.json").read_bytes()) == card()
    assert (folder / "card.md").read_text().startswith("# Robustness card: x, natural classifier")


def test_an_audit_comes_before_an_evaluation_however_many_images_that_had(tmp_path: Path) -> None:
    keep(tmp_path, kind="evaluation", verdict="not-run", budget=None, num_examples=10_000, date="2027")
    keep(tmp_path, verdict="warns")
    assert found(tmp_path) == "warns"


def test_a_quick_audit_that_passes_does_not_hide_a_full_one_that_fails(tmp_path: Path) -> None:
    keep(tmp_path, budget="full", verdict="fails", date="2026")
    keep(tmp_path, budget="quick", verdict="passes", date="2027")
    assert found(tmp_path) == "fails"


def test_a_full_audit_in_which_nothing_was_run_does_not_hide_a_quick_one(tmp_path: Path) -> None:
    keep(tmp_path, budget="full", verdict="not-run")
    keep(tmp_path, budget="quick", verdict="warns")
    assert found(tmp_path) == "warns"


def test_of_equal_audits_the_latest_counts(tmp_path: Path) -> None:
    keep(tmp_path, verdict="fails", date="2027")
    keep(tmp_path, verdict="passes", date="2026")
    assert found(tmp_path) == "fails"


def test_a_card_of_another_space_or_radius_does_not_stand_behind_a_figure(tmp_path: Path) -> None:
    keep(tmp_path, verdict="passes")
    assert found(tmp_path, space="pixel", epsilons=("16/255", "8/255")) == "passes"
    assert found(tmp_path, space="released-code") == "None"
    assert found(tmp_path, epsilons=("16/255",)) == "None"


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"format": 99}', b"\xff"])
def test_a_damaged_card_is_no_card(tmp_path: Path, content: bytes) -> None:
    keep(tmp_path)
    (copy,) = (tmp_path / "audit" / "cards").iterdir()
    copy.write_bytes(content)
    assert find_card(tmp_path, SHA, "natural") is None


@pytest.mark.parametrize(
    ("verdict", "expected"),
    [("passes", "audit passes"), ("warns", "audit warns"), ("fails", "audit fails"), ("not-run", "evaluated")],
)
def test_the_standing_names_the_verdict(verdict: str, expected: str) -> None:
    assert standing(card(verdict=verdict)) == expected


def test_without_a_card_the_standing_is_unaudited() -> None:
    assert standing(None) == "unaudited"


def test_a_loose_checkpoint_keeps_its_cards_beside_itself(tmp_path: Path) -> None:
    assert home_of(tmp_path / "weights.safetensors") == tmp_path
    assert home_of(tmp_path / "checkpoints" / "step-1.safetensors") == tmp_path


def status(**changes: Any) -> dict[str, Any]:
    """The status of a finished run whose selected result is of the last checkpoint."""
    result = {
        "checkpoint": "last",
        "classifier": "natural",
        "selected": True,
        "robust": [{"epsilon": "8/255", "accuracy": 0.6}],
    }
    return {"results": [{**result, "selected": False}, {**result, **changes}]}


def test_a_run_stands_as_the_card_of_its_selected_result_says(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 10)
    keep(tmp_path, verdict="warns")
    assert standing_of_run(tmp_path, status()) == "audit warns"
    assert standing_of_run(tmp_path, status(classifier="adversarial")) == "unaudited"


def test_a_result_that_knows_its_weights_finds_its_card_without_a_checkpoint(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 10)
    keep(tmp_path, verdict="warns")
    shutil.rmtree(tmp_path / "checkpoints")
    assert standing_of_run(tmp_path, status(weights_sha256=SHA)) == "audit warns"
    assert standing_of_run(tmp_path, status(weights_sha256="1" * 64)) == "unaudited"
    assert standing_of_run(tmp_path, status()) == "unaudited"


def test_a_pixel_audit_does_not_stand_behind_figures_of_the_released_codes_space(tmp_path: Path) -> None:
    write_checkpoint(tmp_path, 10)
    keep(tmp_path)
    released = [{"epsilon": "8/255", "accuracy": 0.6, "space": "released-code"}]
    assert standing_of_run(tmp_path, status(robust=released)) == "unaudited"


@pytest.mark.parametrize("record", [{}, {"results": None}, {"results": 3}, {"results": [3]}, {"results": []}])
def test_a_status_that_shows_no_result_is_unaudited(tmp_path: Path, record: dict[str, Any]) -> None:
    keep(tmp_path)
    assert standing_of_run(tmp_path, record) == "unaudited"


def test_cards_are_read_without_torch() -> None:
    code = "import sys, claf_engine.evaluation.cards; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_run_that_was_moved_meanwhile_is_not_made_again_for_its_card(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    keep(run)
    assert (run / "audit").is_dir()
    run.rename(tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        keep(run)
    assert not run.exists()
