import json
from pathlib import Path

import pytest
import torch

from benchmarks.views import KORNIA_SIDES, OURS, SIDES, Task, describe, main, maker, require_alike, smooth_images

TASK = Task(batch=8, size=16, device="cpu")
PLAIN = {"least": 0.0, "greatest": 1.0, "mean": 0.5, "deviation": 0.2, "colourfulness": 0.3}


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_small_comparison_tells_a_ratio_for_each_library(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "views.json"
    main(["--batch", "4", "--size", "16", "--repeats", "1", "--json", str(file)])
    told = json.loads(file.read_text())
    assert told["machine"]
    assert set(told["ratios"]) == {"kornia", "torchvision"}
    assert all(ratio > 0 for ratio in told["ratios"].values())
    assert set(told["sides"]) == set(SIDES)
    slower, faster = sorted((told["sides"][side]["median_seconds"] for side in KORNIA_SIDES), reverse=True)
    assert told["ratios"]["kornia"] == pytest.approx(faster / told["sides"][OURS]["median_seconds"])
    assert slower >= faster
    assert "kornia, slicing" in capsys.readouterr().out


@pytest.mark.parametrize("side", SIDES)
def test_every_side_makes_two_views_of_each_image_that_differ(side: str) -> None:
    images = smooth_images(TASK)[:8]
    views = maker(side, TASK)(images)
    assert views.shape == (16, 3, 16, 16)
    assert views.dtype == torch.float32
    assert not torch.equal(views[0::2], views[1::2])


@pytest.mark.parametrize("side", SIDES)
def test_every_side_draws_parameters_for_each_view(side: str) -> None:
    views = maker(side, TASK)(smooth_images(TASK)[:1].expand(32, -1, -1, -1)).flatten(1)
    # One in 30 such batches holds two views that were cut alike and not coloured; one draw for both views of an image
    # would make 32 pairs alike, one for the batch all of them.
    assert int((torch.pdist(views) < 1e-3).sum()) < 8


@pytest.mark.benchmark
def test_the_views_of_all_sides_have_the_same_statistics() -> None:
    require_alike({side: describe(maker(side, TASK)(smooth_images(TASK))) for side in SIDES})


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("least", -0.1, "leave"),
        ("greatest", 1.1, "leave"),
        ("mean", 0.55, "other images"),
        ("deviation", float("nan"), "other images"),
        ("colourfulness", 0.0, "other images"),
    ],
)
def test_views_that_are_not_alike_are_refused(name: str, value: float, message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        require_alike({OURS: PLAIN, "kornia, slicing": PLAIN | {name: value}})
