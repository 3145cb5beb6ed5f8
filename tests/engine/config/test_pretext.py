import pytest
from pydantic import ValidationError

from claf_engine.config import ObjectiveConfig
from claf_engine.config.presets import resolve_config
from claf_engine.config.pretext import PretextConfig


@pytest.mark.parametrize(("grid", "most"), [(2, 12), (3, 72), (4, 240)])
def test_jigsaw_has_as_many_orders_as_its_grid_gives(grid: int, most: int) -> None:
    settings = {"task": "jigsaw", "grid": grid}
    assert PretextConfig.model_validate({**settings, "permutations": most}).permutations == most
    for count in (1, most + 1):
        with pytest.raises(ValidationError, match=f"permutations must lie between 2 and {most} where .*grid is {grid}"):
            PretextConfig.model_validate({**settings, "permutations": count})


@pytest.mark.parametrize(
    ("preset", "epochs", "decay"),
    [("pretext-rotation", 100, 3e-4), ("pretext-jigsaw", 100, 3e-4), ("pretext-selfie", 200, 1e-4)],
)
def test_every_task_is_pretrained_as_its_authors_code_does(preset: str, epochs: int, decay: float) -> None:
    config = resolve_config(preset, None)
    assert (config.pretext.epochs, config.features_optimizer.weight_decay) == (epochs, decay)
    assert (config.batch_size, config.features_optimizer.learning_rate) == (128, 0.1)


def test_selfie_needs_several_hidden_patches() -> None:
    with pytest.raises(ValidationError, match="set pretext.grid to 3 or 4"):
        PretextConfig(task="selfie", grid=2)
    assert PretextConfig(task="selfie", grid=3).grid == 3


def test_other_tasks_care_for_no_grid() -> None:
    assert PretextConfig(grid=2, permutations=500).task == "rotation"


def test_a_rotation_loss_of_no_weight_cannot_be_attacked() -> None:
    with pytest.raises(ValidationError, match="rotation_in_attack needs objective.rotation_weight above 0, such as"):
        ObjectiveConfig(rotation_in_attack=True)
