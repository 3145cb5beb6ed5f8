import copy
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from claf_engine.models.network import ATTACK_CLASSIFIER, NATURAL
from claf_engine.terms.errors import NonFiniteLoss
from claf_engine.training.checkpoint import weights_sha256
from claf_engine.training.session import Session
from claf_engine.training.state import FEATURES
from tests.engine.tiny import tiny_config, tiny_data, tiny_session

ONE = torch.tensor(1.0)


@pytest.fixture
def session() -> Session:
    """22 training images in batches of 8."""
    return tiny_session(data=tiny_data(num_train=22))


def sweep(session: Session, num_batches: int | None = None, again: bool = False) -> Iterator[Tensor]:
    for rows in session.batches(num_batches, again=again):
        session.finish_step("encoder", "supcon", ONE, 0.1, len(rows))
        yield rows


def attack_loss(session: Session, factor: float = 1.0) -> Tensor:
    """A loss that depends on the attack classifier."""
    return session.state.network.classifiers[ATTACK_CLASSIFIER].weight.sum() * factor


def step(session: Session, done: int = 0, total: int = 10, **options: bool) -> float:
    return session.step_optimizer(ATTACK_CLASSIFIER, attack_loss(session), done, total, **options)


def test_a_sweep_covers_every_image_once(session: Session) -> None:
    assert sorted(torch.cat(list(sweep(session))).tolist()) == list(range(22))


def test_the_last_batch_of_a_sweep_may_be_smaller(session: Session) -> None:
    assert [len(rows) for rows in sweep(session)] == [8, 8, 6]
    assert session.steps_per_sweep == 3


def test_a_number_of_images_that_batches_divide_leaves_no_empty_batch() -> None:
    session = tiny_session(data=tiny_data(num_train=16))
    assert [len(rows) for rows in sweep(session)] == [8, 8]


def test_every_sweep_has_an_order_of_its_own(session: Session) -> None:
    one = torch.cat(list(sweep(session)))
    session.state.cursor.end_sweep()
    assert not torch.equal(one, torch.cat(list(sweep(session))))


@pytest.mark.parametrize("done", [0, 1, 2, 3])
def test_a_resumed_sweep_goes_on_where_it_was_left_in_the_same_order(done: int) -> None:
    whole, broken = tiny_session(data=tiny_data(22)), tiny_session(data=tiny_data(22))
    expected = [rows.tolist() for rows in sweep(whole)]
    before = [rows.tolist() for _, rows in zip(range(done), sweep(broken), strict=False)]
    assert before + [rows.tolist() for rows in sweep(broken)] == expected


def test_a_pass_may_take_only_the_first_batches_of_its_order(session: Session) -> None:
    whole = [rows.tolist() for rows in sweep(tiny_session(data=tiny_data(22)))]
    assert [rows.tolist() for rows in sweep(session, 2)] == whole[:2]


@pytest.mark.parametrize("num_batches", [2, None])
def test_a_pass_over_the_same_images_again_has_another_order(session: Session, num_batches: int | None) -> None:
    one = torch.cat(list(sweep(session, num_batches)))
    session.state.cursor.end_sweep()
    again = torch.cat(list(sweep(session, num_batches, again=True)))
    assert not torch.equal(one, again)
    assert torch.equal(one.sort().values, again.sort().values)


def test_a_pass_over_all_images_again_draws_what_any_pass_draws(session: Session) -> None:
    usual = tiny_session(data=tiny_data(22))
    for each, again in ((usual, False), (session, True)):
        list(sweep(each))
        each.state.cursor.end_sweep()
        list(sweep(each, again=again))
    assert torch.equal(usual.state.order, session.state.order)


def test_warm_up_of_retraining_counts_the_steps_that_a_pass_takes() -> None:
    optimizer = {"learning_rate": 0.4, "warmup_epochs": 1}
    config = tiny_config(adversarial={"classifier_optimizer": optimizer, "classifier_fraction": 0.5})
    session = tiny_session(config)
    assert session.steps_per_retraining_sweep == 2
    assert [step(session, done) for done in (0, 1, 2)] == pytest.approx([0.4 / 3, 0.8 / 3, 0.4])


def test_a_batch_that_is_not_finished_is_noticed(session: Session) -> None:
    batches = session.batches()
    next(batches)
    with pytest.raises(AssertionError, match="finish_step"):
        next(batches)


def test_a_training_batch_holds_the_pixels_and_labels_of_its_rows(session: Session) -> None:
    rows = torch.tensor([5, 0, 21])
    images, labels = session.training_batch(rows)
    assert torch.equal((images * 255).round().to(torch.uint8), session.data.train.images[rows])
    assert torch.equal(labels, session.data.train.labels[rows])


def test_a_finished_step_moves_the_cursor_and_adds_its_loss_to_the_mean(session: Session) -> None:
    for loss in (1.0, 3.0):
        session.finish_step("encoder", "supcon", torch.tensor(loss), 0.1, 8)
    state = session.state
    assert (state.cursor.batch, state.cursor.step, state.mean_loss()) == (2, 2, 2.0)


def test_a_boundary_says_what_the_step_was_and_holds_no_graph(session: Session) -> None:
    boundary = session.finish_step("retrain", "classifier", attack_loss(session), 0.25, 6)
    assert (boundary.part, boundary.loss_name, boundary.learning_rate, boundary.num_images) == (
        "retrain",
        "classifier",
        0.25,
        6,
    )
    assert not boundary.loss.requires_grad


def test_a_step_goes_down_along_the_gradient() -> None:
    config = tiny_config(adversarial__classifier_optimizer={"learning_rate": 0.5, "momentum": 0, "weight_decay": 0})
    session = tiny_session(config)
    weight = session.state.network.classifiers[ATTACK_CLASSIFIER].weight
    before = weight.detach().clone()
    step(session)
    assert torch.equal(weight, before - 0.5)


def test_a_step_forgets_the_gradients_of_the_step_before() -> None:
    config = tiny_config(adversarial__classifier_optimizer={"learning_rate": 0.5, "momentum": 0, "weight_decay": 0})
    session = tiny_session(config)
    weight = session.state.network.classifiers[ATTACK_CLASSIFIER].weight
    before = weight.detach().clone()
    for done in range(2):
        session.step_optimizer(ATTACK_CLASSIFIER, attack_loss(session), 0, 10 - done)
    assert torch.allclose(weight, before - 1.0)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_loss_that_is_not_finite_is_refused_before_anything_is_stepped(value: float) -> None:
    session = tiny_session()
    before = weights_sha256(session.state.network)
    with pytest.raises(NonFiniteLoss):
        session.step_optimizer(ATTACK_CLASSIFIER, attack_loss(session, value), 0, 10)
    assert weights_sha256(session.state.network) == before


def test_a_loss_that_is_not_finite_is_told_with_its_step_and_what_to_try() -> None:
    session = tiny_session()
    session.state.cursor.step = 41
    with pytest.raises(NonFiniteLoss, match=r"loss of step 42 is nan; go back to a checkpoint with a lower learning"):
        session.require_finite(float("nan"))


def test_a_loss_that_is_not_finite_names_the_optimizer_that_would_have_stepped_on_it() -> None:
    session = tiny_session()
    with pytest.raises(NonFiniteLoss) as raised:
        session.step_optimizer(ATTACK_CLASSIFIER, attack_loss(session, float("nan")), 0, 10)
    assert raised.value.optimizers == (ATTACK_CLASSIFIER,)
    session.optimizer(FEATURES)
    session.optimizer(ATTACK_CLASSIFIER)
    with pytest.raises(NonFiniteLoss) as raised:
        session.require_finite(float("nan"))
    assert raised.value.optimizers == (FEATURES, ATTACK_CLASSIFIER)


def test_a_huge_loss_is_still_a_loss() -> None:
    tiny_session().require_finite(-1e38)


def test_a_step_follows_the_schedule_of_its_optimizer() -> None:
    session = tiny_session(tiny_config(adversarial__classifier_optimizer={"learning_rate": 0.4}))
    assert [step(session, done) for done in (0, 5)] == pytest.approx([0.4, 0.2])


def test_a_live_edit_scales_the_learning_rate() -> None:
    session = tiny_session(tiny_config(adversarial__classifier_optimizer={"learning_rate": 0.4}))
    session.state.ledger.learning_rate_factor = 0.5
    assert step(session) == pytest.approx(0.2)


def test_a_live_edit_leaves_an_optimizer_alone_that_it_is_not_meant_for() -> None:
    session = tiny_session(tiny_config(adversarial__classifier_optimizer={"learning_rate": 0.4}))
    session.state.ledger.learning_rate_factor = 0.5
    assert step(session, is_edited=False) == 0.4


def test_the_features_share_one_schedule_across_stages_1_and_2() -> None:
    session = tiny_session(tiny_config(contrastive__epochs=1, adversarial__epochs=3))
    loss = next(session.state.network.encoder.parameters())
    rates = [session.feature_step(lambda: loss.sum() * 0, 2).rate for _ in range(7)]
    assert rates[0] == 0.05
    assert rates[6] == pytest.approx(0.025), "half of 4 epochs of 3 steps"


def test_an_optimizer_is_kept_from_step_to_step() -> None:
    session = tiny_session()
    assert session.optimizer(NATURAL) is session.optimizer(NATURAL)


def test_a_renewed_optimizer_remembers_nothing() -> None:
    session = tiny_session()
    step(session)
    first = copy.deepcopy(session.state.network.classifiers[ATTACK_CLASSIFIER].weight.detach())
    session.renew_optimizer(ATTACK_CLASSIFIER)
    assert session.optimizer(ATTACK_CLASSIFIER).state_dict()["state"] == {}
    assert torch.equal(first, session.state.network.classifiers[ATTACK_CLASSIFIER].weight)


def test_a_dropped_optimizer_is_gone_and_dropping_it_again_is_harmless() -> None:
    session = tiny_session()
    session.optimizer(FEATURES)
    for _ in range(2):
        session.drop_optimizer(FEATURES)
    assert session.state.optimizers == {}
