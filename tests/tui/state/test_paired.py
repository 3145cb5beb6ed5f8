import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from claf_engine.accuracy.pairs import compare
from claf_engine.reproduce.stored import packed
from claf_tui.state.paired import KEPT_IN, paired_differences
from tests.tui.compared import compared_folder, figure, read_folder, result

COUNT = 40
RIGHT = {"a": [number % 2 == 0 for number in range(COUNT)], "b": [number % 4 == 0 for number in range(COUNT)]}


def measured(root: Path, name: str, **changes: object) -> Path:
    """A run, and what a reproduction kept of it."""
    folder = compared_folder(root, name, results=[result([figure(0.5)], weights=name * 64)])
    kept = root.joinpath(*KEPT_IN)
    kept.mkdir(parents=True, exist_ok=True)
    right = torch.tensor(RIGHT[name])
    about = {
        "checkpoint": str(folder / "checkpoints" / "x.safetensors"),
        "classifier": "attack",
        "weights_sha256": name,
    }
    robust = asdict(replace(figure(float(right.double().mean()), count=COUNT, steps=20), **changes))
    record = {"robust": robust, "subject": about, "right": packed(torch.ones(COUNT, dtype=torch.bool))}
    (kept / f"{name}.json").write_text(json.dumps({**record, "survivors": packed(right)}))
    return folder


def test_runs_that_were_measured_on_the_same_images_are_compared_image_by_image(tmp_path: Path) -> None:
    runs = [read_folder(key, measured(tmp_path, name)) for key, name in (("A", "a"), ("B", "b"))]
    natural, robust = paired_differences(runs)
    expected = compare([torch.tensor(RIGHT["a"])], [torch.tensor(RIGHT["b"])])
    assert (robust.difference, robust.low, robust.high) == (expected.difference, expected.low, expected.high)
    assert (robust.how, robust.p_value) == ("paired", expected.p_values[0])
    assert robust.measured == f"pgd-20, {COUNT} images"
    assert (natural.column, natural.difference) == ("natural", 0.0)


@pytest.mark.parametrize("changes", [{"steps": 40}, {"seed": 1}, {"epsilon": "4/255"}])
def test_another_attack_is_not_compared(tmp_path: Path, changes: dict[str, object]) -> None:
    runs = [read_folder("A", measured(tmp_path, "a")), read_folder("B", measured(tmp_path, "b", **changes))]
    assert paired_differences(runs) == ()


def test_images_that_are_not_known_to_be_the_same_are_not_compared(tmp_path: Path) -> None:
    runs = [read_folder("A", measured(tmp_path, "a")), read_folder("B", measured(tmp_path, "b"))]
    assert paired_differences([runs[0], replace(runs[1], images={})]) == ()


@pytest.mark.parametrize("damage", ["{", '{"robust": 3}', '{"subject": {"checkpoint": 1}}'])
def test_a_damaged_measurement_costs_itself(tmp_path: Path, damage: str) -> None:
    runs = [read_folder("A", measured(tmp_path, "a")), read_folder("B", measured(tmp_path, "b"))]
    tmp_path.joinpath(*KEPT_IN, "0.json").write_text(damage)
    assert len(paired_differences(runs)) == 2
    tmp_path.joinpath(*KEPT_IN, "a.json").write_text(damage)
    assert paired_differences(runs) == ()
