import pytest

from claf_engine.training.class_notices import scarce_positives
from claf_engine.training.methods import phases_of
from tests.engine.tiny import tiny_config, tiny_data


@pytest.mark.parametrize(
    ("method", "batch_size", "positives", "is_told"),
    [("claf", 4, "class", True), ("claf", 5, "class", False), ("at", 4, "class", False), ("scl", 4, "views", False)],
)
def test_batches_too_small_for_the_classes_are_told(
    method: str, batch_size: int, positives: str, *, is_told: bool
) -> None:
    config = tiny_config(method=method, batch_size=batch_size, contrastive={"positives": positives})
    data = tiny_data(24)
    assert len(data.class_names) == 4
    told = scarce_positives(config, phases_of(config), data)
    assert bool(told) == is_told
    assert all("holds 0.75 others of an anchor's class" in text and "raise batch_size" in text for text in told)
