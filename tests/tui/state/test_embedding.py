import numpy as np
import pytest

from claf_engine.runs.examples import Answers
from claf_tui.state.embedding import Basis, basis_of, class_means, relative_displacement

LABELS = np.arange(12) % 3


def answers(features: np.ndarray) -> Answers:  # type: ignore[type-arg]
    count = len(features)
    return Answers(np.zeros(count, np.int64), np.ones(count, np.float32), features.astype(np.float32))


def clusters(apart: float = 4.0, spread: float = 0.1, num_features: int = 6) -> Answers:
    drawn = np.random.default_rng(1)
    return answers(apart * np.eye(3, num_features)[LABELS] + spread * drawn.normal(size=(12, num_features)))


def test_the_map_separates_classes_that_lie_apart() -> None:
    before = clusters()
    basis = basis_of(before, before, LABELS)
    places = basis.places(before.features)
    means = np.stack([places[label == LABELS].mean(0) for label in range(3)])
    assert all(np.linalg.norm(means[one] - means[other]) > 5 for one, other in ((0, 1), (0, 2), (1, 2)))


def test_classes_decide_the_directions_where_images_vary_most_in_others() -> None:
    noise = np.zeros((4, 3, 6))
    noise[:, :, 4:] = np.array([[20.0, 0], [-20, 0], [0, 20], [0, -20]])[:, None]
    features = np.eye(3, 6)[LABELS] + noise.reshape(12, 6)
    basis = basis_of(answers(features), answers(features), LABELS)
    assert np.abs(basis.axes[4:]).max() < 1e-9


def test_axes_are_orthonormal_and_do_not_flip() -> None:
    before = clusters()
    axes = basis_of(before, before, LABELS).axes
    assert np.allclose(axes.T @ axes, np.eye(2))
    mirrored = basis_of(answers(before.features[::-1]), answers(before.features[::-1]), LABELS[::-1]).axes
    assert np.allclose(axes, mirrored)


def test_clean_and_attacked_images_of_the_basis_lie_on_the_map() -> None:
    before, after = clusters(), clusters(apart=-3.0)
    basis = basis_of(before, after, LABELS)
    for features in (before.features, after.features):
        assert (np.abs(basis.places(features)) <= np.array(basis.reach) + 1e-9).all()


@pytest.mark.parametrize("features", [np.zeros((12, 6)), np.ones((12, 1)), np.arange(12.0)[:, None]])
def test_collapsed_or_one_dimensional_features_have_a_map_too(features: np.ndarray) -> None:  # type: ignore[type-arg]
    basis = basis_of(answers(features), answers(features), LABELS)
    assert isinstance(basis, Basis)
    assert min(basis.reach) > 0
    assert np.isfinite(basis.places(features)).all()


def test_images_that_move_as_far_as_classes_lie_apart_are_displaced_by_one() -> None:
    before = answers(np.eye(3, 6)[LABELS])
    after = answers(np.eye(3, 6)[(LABELS + 1) % 3])
    assert relative_displacement(before, after, LABELS) == pytest.approx(1)
    assert relative_displacement(before, before, LABELS) == 0


def test_of_one_class_or_equal_classes_there_is_no_displacement_to_speak_of() -> None:
    before = clusters()
    assert relative_displacement(before, before, np.zeros(12, np.int64)) is None
    same = answers(np.zeros((12, 6)))
    assert relative_displacement(same, same, LABELS) is None


def test_class_means_come_in_the_order_of_the_labels() -> None:
    features = np.array([[0.0], [10.0], [2.0], [14.0]])
    assert class_means(features, np.array([3, 1, 3, 1])).tolist() == [[12.0], [1.0]]
