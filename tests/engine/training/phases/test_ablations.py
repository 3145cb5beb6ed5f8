"""Every switch of the paper's tables, and of ours: it changes what it says and nothing else."""

import copy
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine import events as ev
from claf_engine.attacks.gradients import Target
from claf_engine.config import RunConfig
from claf_engine.data import to_pixels
from claf_engine.data.views import make_views
from claf_engine.events.ticks import Boundary, Tick
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.network import ADVERSARIAL, ATTACK_CLASSIFIER, NATURAL
from claf_engine.runs import create_run, list_checkpoints
from claf_engine.training.losses import nt_xent_loss, supcon_loss
from claf_engine.training.methods import phases_of
from claf_engine.training.phases.adversarial import adversarial, craft, retrain
from claf_engine.training.phases.contrastive import contrastive
from claf_engine.training.phases.linear import adversarial_linear_evaluation, linear_evaluation
from claf_engine.training.session import Session
from tests.engine.tiny import exhaust, play, tiny_config, tiny_session, use_tiny_data, without_clock

STREAMS = ("order", "views", "attack", "init")


def streams(session: Session) -> dict[str, bytes]:
    """Where every random stream stands."""
    return {name: session.state.generators[name].get_state().numpy().tobytes() for name in STREAMS}


def differing(one: Session, other: Session) -> set[str]:
    """The random streams that two sessions have drawn differently much from."""
    return {name for name in STREAMS if streams(one)[name] != streams(other)[name]}


def weights(session: Session, part: str) -> str:
    return hash_tensors(session.state.network.get_submodule(part).state_dict())


def losses(ticks: list[Tick], part: str) -> list[float]:
    return [float(tick.loss) for tick in ticks if isinstance(tick, Boundary) and tick.part == part]


def play_phase(session: Session, name: str) -> list[Tick]:
    """Play the phases up to and with the one of this name; the ticks are of that one."""
    for phase in phases_of(session.config):
        ticks = list(phase.play(session))
        session.state.cursor.end_phase()
        if phase.name == name:
            return ticks
    raise AssertionError(name)


@cache
def played(name: str, config: RunConfig) -> tuple[Session, list[Tick]]:
    """A session after a phase, and the ticks of that phase; not to be changed."""
    session = tiny_session(config)
    return session, play_phase(session, name)


def pair(name: str, base: dict[str, object], **changes: object) -> tuple[list[Session], list[list[Tick]]]:
    """Two sessions that differ in some settings, and their ticks of a phase."""
    configs = tiny_config(**base), tiny_config(**base | changes)
    sessions, ticks = zip(*(played(name, config) for config in configs), strict=True)
    return list(sessions), list(ticks)


def retrained(classifier_images: str) -> tuple[Session, list[Tick]]:
    session = tiny_session(tiny_config(adversarial__classifier_images=classifier_images))
    list(contrastive(session))
    session.state.cursor.end_phase()
    return session, list(retrain(session))


def test_a_classifier_may_be_retrained_on_natural_images() -> None:
    (session, ticks), plain = retrained("natural"), tiny_session()
    list(contrastive(plain))
    network, train = plain.state.network.eval(), plain.data.train
    classifier, expected = network.classifiers[ATTACK_CLASSIFIER], []
    optimizer = torch.optim.Adam(classifier.parameters(), lr=1e-3)
    for rows in torch.randperm(24, generator=plain.state.generators["order"]).split(8):
        loss = F.cross_entropy(classifier(network.encoder(to_pixels(train.images[rows])).detach()), train.labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        expected.append(loss.item())
    assert losses(ticks, "retrain") == pytest.approx(expected, abs=1e-5)
    torch.testing.assert_close(
        session.state.network.classifiers[ATTACK_CLASSIFIER].weight, classifier.weight, rtol=0, atol=1e-5
    )


def test_what_is_retrained_on_changes_attack_classifier_and_attack_stream_alone() -> None:
    (natural, natural_ticks), (attacked, attacked_ticks) = retrained("natural"), retrained("adversarial")
    assert losses(natural_ticks, "retrain") != losses(attacked_ticks, "retrain")
    assert differing(natural, attacked) == {"attack"}
    assert streams(natural)["attack"] == streams(tiny_session())["attack"], "natural images need no random start"
    assert weights(natural, f"classifiers.{ATTACK_CLASSIFIER}") != weights(attacked, f"classifiers.{ATTACK_CLASSIFIER}")
    for part in ("encoder", "projection_head", f"classifiers.{NATURAL}", f"classifiers.{ADVERSARIAL}"):
        assert weights(natural, part) == weights(attacked, part)


def test_with_natural_images_the_encoder_still_learns_from_an_adversarial_view() -> None:
    sessions, ticks = pair("adversarial", {"adversarial__epochs": 1}, adversarial__classifier_images="natural")
    assert len(losses(ticks[1], "encoder")) == 3
    assert losses(ticks[0], "encoder") != losses(ticks[1], "encoder")
    assert differing(*sessions) == {"attack"}


@pytest.mark.parametrize(
    "changes",
    [
        {"linear_evaluation__epochs": 5},
        {"linear_evaluation__adversarial_epochs": 3},
        {"linear_evaluation__start": "attack"},
        {"linear_evaluation__adversarial_start": "scratch"},
        {"linear_evaluation__adversarial_steps": 1},
    ],
)
def test_settings_of_linear_evaluation_change_nothing_before_it(changes: dict[str, object]) -> None:
    sessions, ticks = pair("adversarial", {}, **changes)
    assert differing(*sessions) == set()
    assert losses(ticks[0], "encoder") == losses(ticks[1], "encoder")
    assert weights(sessions[0], "encoder") == weights(sessions[1], "encoder")


def linear(**changes: object) -> Session:
    """After both linear evaluations; the attack classifier was never trained."""
    session = tiny_session(tiny_config(contrastive__epochs=1, adversarial__epochs=0, **changes))
    for phase in phases_of(session.config):
        list(phase.play(session))
        session.state.cursor.end_phase()
    return session


def test_the_adversarial_classifier_does_not_change_the_natural_one() -> None:
    without, with_it = linear(linear_evaluation__adversarial_epochs=0), linear()
    assert weights(without, f"classifiers.{NATURAL}") == weights(with_it, f"classifiers.{NATURAL}")
    untouched = tiny_session()
    assert weights(without, f"classifiers.{ADVERSARIAL}") == weights(untouched, f"classifiers.{ADVERSARIAL}")
    assert weights(with_it, f"classifiers.{ADVERSARIAL}") != weights(untouched, f"classifiers.{ADVERSARIAL}")


def test_without_natural_passes_the_natural_classifier_stays_fresh() -> None:
    session, untouched = linear(linear_evaluation__epochs=0), tiny_session()
    assert weights(session, f"classifiers.{NATURAL}") == weights(untouched, f"classifiers.{NATURAL}")
    assert weights(session, f"classifiers.{ADVERSARIAL}") != weights(untouched, f"classifiers.{ADVERSARIAL}")


@pytest.mark.parametrize(
    ("changes", "classifier", "other"),
    [
        ({"linear_evaluation__start": "attack"}, NATURAL, ADVERSARIAL),
        ({"linear_evaluation__adversarial_start": "scratch"}, ADVERSARIAL, NATURAL),
    ],
)
def test_where_a_classifier_starts_from_changes_that_classifier_alone(
    changes: dict[str, object], classifier: str, other: str
) -> None:
    usual, changed = linear(), linear(**changes)
    assert differing(usual, changed) == set()
    assert weights(usual, f"classifiers.{classifier}") != weights(changed, f"classifiers.{classifier}")
    for part in ("encoder", "projection_head", f"classifiers.{ATTACK_CLASSIFIER}", f"classifiers.{other}"):
        assert weights(usual, part) == weights(changed, part)


Start = Callable[[Session], object]


@pytest.mark.parametrize(
    ("setting", "phase", "classifier"),
    [
        ("start", linear_evaluation, NATURAL),
        ("adversarial_start", adversarial_linear_evaluation, ADVERSARIAL),
    ],
)
@pytest.mark.parametrize("start", ["scratch", "attack"])
def test_a_classifier_starts_from_where_the_settings_say(
    setting: str, phase: Start, classifier: str, start: str
) -> None:
    session = tiny_session(tiny_config(**{f"linear_evaluation__{setting}": start}))
    classifiers = session.state.network.classifiers
    expected = copy.deepcopy(classifiers[ATTACK_CLASSIFIER if start == "attack" else classifier].state_dict())
    next(iter(phase(session)))
    assert all(torch.equal(expected[name], value) for name, value in classifiers[classifier].state_dict().items())


def test_how_retraining_begins_changes_the_init_stream_alone() -> None:
    sessions, ticks = pair("adversarial", {}, adversarial__classifier_start="reinitialise")
    assert differing(*sessions) == {"init"}
    assert losses(ticks[0], "retrain") != losses(ticks[1], "retrain")


def test_a_reinitialised_classifier_is_a_fresh_one_at_every_retraining() -> None:
    config = tiny_config(adversarial={"classifier_start": "reinitialise", "epochs": 3, "classifier_epochs": 0})
    session = tiny_session(config)
    retrainings = (tick for tick in adversarial(session) if isinstance(tick, ev.ClassifierRetrained))
    assert len({weights(session, f"classifiers.{ATTACK_CLASSIFIER}") for _ in retrainings}) == 3


def test_how_retraining_begins_changes_nothing_before_it() -> None:
    sessions, ticks = pair("contrastive", {}, adversarial__classifier_start="reinitialise")
    assert losses(ticks[0], "encoder") == losses(ticks[1], "encoder")
    assert weights(sessions[0], "encoder") == weights(sessions[1], "encoder")


@pytest.mark.parametrize(("positives", "name"), [("class", "supcon"), ("views", "nt_xent")])
def test_the_positives_decide_the_loss_of_the_same_projections(positives: str, name: str) -> None:
    session, plain = (tiny_session(tiny_config(contrastive__positives=positives)) for _ in range(2))
    step = next(tick for tick in contrastive(session) if isinstance(tick, Boundary))
    rows = torch.randperm(24, generator=plain.state.generators["order"])[:8]
    images, labels = plain.training_batch(rows)
    views = make_views(images, plain.config.views, 2, plain.state.generators["views"])
    grouped = plain.state.network.project(views.flatten(0, 1)).view(8, 2, -1)
    expected = {"class": supcon_loss(grouped, labels, 0.2), "views": nt_xent_loss(grouped, 0.2)}
    assert step.loss_name == name
    assert float(step.loss) == expected[positives].item()


def test_without_labels_stage_2_contrasts_without_labels_too() -> None:
    session = tiny_session(tiny_config(contrastive__positives="views", adversarial__epochs=1))
    names = {tick.part: tick.loss_name for tick in adversarial(session) if isinstance(tick, Boundary)}
    assert names == {"retrain": "classifier", "encoder": "nt_xent"}


@pytest.mark.parametrize("phase", ["contrastive", "adversarial"])
@pytest.mark.parametrize(
    "changes",
    [
        {"contrastive__positives": "views"},
        {"model__activation": "silu"},
        {"model__activation": "softplus"},
        {"attack__space": "released-code"},
    ],
    ids=lambda changes: next(iter(changes.values())),
)
def test_a_switch_leaves_every_random_stream_where_it_was(phase: str, changes: dict[str, object]) -> None:
    sessions, ticks = pair(phase, {}, **changes)
    assert differing(*sessions) == set()
    is_untouched = "attack__space" in changes and phase == "contrastive"
    assert (losses(ticks[0], "encoder") == losses(ticks[1], "encoder")) is is_untouched


@pytest.mark.parametrize("changes", [{"model__activation": "silu"}, {"model__activation": "softplus"}])
def test_an_activation_changes_no_initial_weight(changes: dict[str, object]) -> None:
    usual, smooth = tiny_session(), tiny_session(tiny_config(**changes))
    state = usual.state.network.state_dict()
    assert all(torch.equal(state[name], value) for name, value in smooth.state.network.state_dict().items())


def crafted(config: RunConfig) -> Tensor:
    session = tiny_session(config)
    images, labels = session.training_batch(torch.arange(8))
    target = Target(session.state.network.with_classifier(ATTACK_CLASSIFIER), session.compute)
    _, attacked = exhaust(craft(session, target, images, labels))
    return attacked - images


def test_the_space_changes_how_far_a_training_attack_goes() -> None:
    """In the released code's space its clamp alone moves images further than the radius."""
    assert float(crafted(tiny_config()).abs().max()) <= 8 / 255 + 1e-6
    assert float(crafted(tiny_config(attack__space="released-code")).abs().max()) > 16 / 255


def test_the_space_of_training_and_that_of_measuring_are_chosen_apart() -> None:
    sessions, _ = pair("adversarial", {}, probe__space="released-code", evaluation__space="released-code")
    assert differing(*sessions) == set()
    assert weights(sessions[0], "encoder") == weights(sessions[1], "encoder")


@pytest.mark.parametrize("method", ["at", "fgsm", "alp", "trades"])
def test_the_statistics_of_an_attack_change_the_attacked_images_alone(method: str) -> None:
    sessions, ticks = pair("supervised", {"method": method}, supervised__attack_batch_norm="batch")
    assert differing(*sessions) == set()
    assert losses(ticks[0], "supervised") != losses(ticks[1], "supervised")
    counts = [int(session.state.network.encoder.norm.num_batches_tracked) for session in sessions]
    assert counts[0] == counts[1]


@pytest.mark.parametrize("base", [{"method": "natural"}, {"method": "claf"}], ids=lambda base: base["method"])
def test_where_no_attack_is_supervised_its_statistics_change_nothing(base: dict[str, object]) -> None:
    last = "supervised" if base["method"] == "natural" else "adversarial"
    sessions, _ = pair(last, base, supervised__attack_batch_norm="batch")
    assert hash_tensors(sessions[0].state.network.state_dict()) == hash_tensors(sessions[1].state.network.state_dict())


CROSSING = {10, 20}
"""Steps of the second figures, at 8/255 and at 16/255, because neither 1 nor 3 steps cross the ball."""


def test_the_steps_of_the_test_attack_change_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Table 3 is a table of measurements: the runs behind it are one run."""
    use_tiny_data(monkeypatch)
    trained, tested = [], []
    for steps in (1, 3):
        changes = {"method": "natural", "evaluation__steps": steps}
        directory = create_run(tmp_path, "tiny", tiny_config(**changes), [])
        events = play(directory)
        newest = list_checkpoints(directory.path)[0].info
        assert newest is not None
        trained.append((newest.weights_sha256, without_clock(events, ev.StepLogged, ev.ProbeFinished)))
        finished = events[-1]
        assert isinstance(finished, ev.RunFinished)
        tested.append({figure.steps for result in finished.results for figure in result.robust})
    assert trained[0] == trained[1]
    assert tested == [{1, *CROSSING}, {3, *CROSSING}]
