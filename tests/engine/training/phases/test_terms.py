"""Objectives with terms of the settings, against plain loops of the published recipes."""

import copy
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.config import RunConfig
from claf_engine.events.ticks import Boundary
from claf_engine.models.network import CosineClassifier
from claf_engine.terms.errors import ConfigError
from claf_engine.training.costs import shows_natural
from claf_engine.training.methods import phases_of
from claf_engine.training.phases import objectives, terms
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_session
from tests.engine.training.phases.test_objectives import Plain, parts, played, shown
from tests.engine.training.test_objective_terms import slow_contrast

NUAT = {
    "method": "fgsm",
    "fgsm__step_size": "8/255",
    "attack__start": "bernoulli",
    "objective": {"nuclear_weight": 4, "cross_entropy": "natural"},
}
AROW = {"method": "trades", "trades": {"beta": 7, "weighting": "true-class"}, "objective__label_smoothing": 0.2}
HE = {"method": "at", "model__logits": "cosine", "objective__margin": 0.2}

CONTRAST = {
    "method": "at",
    "averaging__decay": 0.9,
    "objective": {"contrast_weight": 1.0, "contrast_temperature": 0.4},
}


class PlainTerms(Plain):
    """One run of the tiny images, in plain torch."""

    def ramp(self) -> float:
        done = self.taken / (2 * 3)
        self.taken += 1
        return self.config.objective.nuclear_weight * done

    def losses(self) -> list[float]:
        self.taken = 0
        return super().losses()

    def bernoulli(self, x: Tensor) -> Tensor:
        signs = torch.rand(x.shape, generator=self.state.generators["attack"]).sub(0.5).sign()
        return (x + float(self.config.attack.epsilon) / 2 * signs).clamp(0, 1)


class PlainNuat(PlainTerms):
    """CE(s(x)) + lam_t ||S(x') - S(x)||_* / B; the attack climbs CE(s(x')) with the same second term."""

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        target, weight = self.target(), self.ramp()
        fixed = target(x).detach()

        def climbed(point: Tensor) -> Tensor:
            logits = target(point)
            return F.cross_entropy(logits, y) + weight * torch.linalg.matrix_norm(logits - fixed, "nuc") / len(x)

        x_adv = self.climb(climbed, x, self.bernoulli(x), (1, self.config.fgsm.step_size))
        natural, attacked = self.model.train()(x), self.model(x_adv)
        norm = torch.linalg.matrix_norm(attacked - natural, "nuc") / len(x)
        return F.cross_entropy(natural, y) + weight * norm


class PlainArow(PlainTerms):
    """Smoothed CE(s(x)) + lam KL(p(x) || p(x')) (1 - p_y(x'))."""

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        x_adv = self.trades_attack(x)
        p, q = self.model.train()(x).softmax(1), self.model(x_adv).softmax(1)
        soft = 0.8 * F.one_hot(y, 4) + 0.2 / 4
        weight = 1 - q[torch.arange(len(y)), y]
        return -(soft * p.log()).sum(1).mean() + 7 * ((p * (p / q).log()).sum(1) * weight).mean()


class PlainHe(PlainTerms):
    """Cross-entropy of s (cos - m [y]); the attack sees s cos."""

    def cosines(self, features: Tensor) -> Tensor:
        rows = self.model.classifier.weight
        return features @ rows.T / features.norm(dim=1, keepdim=True) / rows.norm(dim=1)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        self.model.eval()

        def climbed(point: Tensor) -> Tensor:
            # Not the cross-entropy itself, whose gradient vanishes where logits lie 20 apart, as those of cosines do.
            logits, own = 15 * self.cosines(self.model.encoder(point)), F.one_hot(y, 4).bool()
            return (logits.masked_fill(own, -torch.inf).logsumexp(1) - logits[own]).sum()

        plan = self.config.attack.steps, self.config.attack.step_size
        x_adv = self.climb(climbed, x, self.uniform(x), plan)
        self.model.train()
        return F.cross_entropy(15 * (self.cosines(self.model.encoder(x_adv)) - 0.2 * F.one_hot(y, 4)), y)


class PlainContrast(PlainTerms):
    """AT and an asymmetric contrast with the projections of an average of all weights so far."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.model.head = session.state.network.projection_head
        self.average = copy.deepcopy(self.model)

    def follow(self, age: int) -> None:
        decay = min(self.config.averaging.decay, (1 + age) / (10 + age)) if age else 0
        for kept, now in zip(self.average.state_dict().values(), self.model.state_dict().values(), strict=True):
            kept.copy_(decay * kept + (1 - decay) * now if kept.is_floating_point() else now)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        if self.taken:
            self.follow(self.taken - 1)
        weight = self.config.objective.contrast_weight * self.taken / 6
        self.taken += 1
        target = self.target()
        plan = self.config.attack.steps, self.config.attack.step_size
        x_adv = self.climb(lambda point: F.cross_entropy(target(point), y), x, self.uniform(x), plan)
        self.average.eval()
        keys = self.average.head(self.average.encoder(x)).detach()
        features = self.model.train().encoder(x_adv)
        contrast = slow_contrast(self.model.head(features), keys, y, self.config.objective.contrast_temperature)
        return F.cross_entropy(self.model.classifier(features), y) + weight * contrast


def config_of(changes: dict[str, object], **more: object) -> RunConfig:
    return tiny_config(**changes | more)


@pytest.mark.parametrize(
    ("changes", "plain"),
    [
        (NUAT, PlainNuat),
        (NUAT | {"method": "at", "attack__steps": 1, "attack__step_size": "8/255"}, PlainNuat),
        (NUAT | {"supervised__attack_batch_norm": "batch"}, PlainNuat),
        (AROW, PlainArow),
        (HE, PlainHe),
        (CONTRAST, PlainContrast),
    ],
    ids=["nuat", "nuat by at", "nuat by statistics of the batch", "arow", "he", "contrast"],
)
def test_a_recipe_is_the_plain_loop_of_its_equations_loss_for_loss(
    changes: dict[str, object], plain: type[PlainTerms]
) -> None:
    session, slow = tiny_session(config_of(changes)), plain(tiny_session(config_of(changes)))
    losses, expected = [float(step.loss) for step in played(session)], slow.losses()
    # So near its start the gradient of TRADES is small enough for folding to turn some of its signs.
    assert losses == pytest.approx(expected, abs=5e-3 if changes is AROW else 2e-4)
    assert losses[0] == pytest.approx(expected[0], abs=1e-5)
    for name, generator in session.state.generators.items():
        assert torch.equal(generator.get_state(), slow.state.generators[name].get_state()), name


def test_the_nuclear_norm_begins_with_no_weight_and_grows_with_every_step() -> None:
    ramp = tiny_session(config_of(NUAT))
    ticks = (tick for tick in phases_of(ramp.config)[0].play(ramp) if isinstance(tick, Boundary))
    found = [terms.ramped(ramp, 4.0) for _ in ticks if ramp.state.cursor.batch < 3]
    assert terms.ramped(tiny_session(config_of(NUAT)), 4.0) == 0
    assert found == pytest.approx([4 * step / 6 for step in (1, 2, 4, 5)])


@pytest.mark.parametrize("method", ["trades", "alp"])
def test_a_method_that_compares_images_takes_the_nuclear_norm_as_well(method: str) -> None:
    """In the second step: in the first its weight is zero."""
    plain, added = (
        [float(step.loss) for step in played(tiny_session(tiny_config(method=method, objective=objective)))]
        for objective in ({}, {"nuclear_weight": 50})
    )
    assert added[0] == pytest.approx(plain[0], rel=1e-5)
    assert added[1] > plain[1]


def test_what_is_off_takes_no_natural_images_and_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    session = tiny_session(tiny_config(method="at"))
    assert not shows_natural(session.config.objective)
    assert len(shown(session, monkeypatch)) == 1


@pytest.mark.parametrize("changes", [NUAT, CONTRAST], ids=["nuat", "contrast"])
def test_terms_are_those_of_the_batch_however_small_its_parts(changes: dict[str, object]) -> None:
    whole, parted = (tiny_session(config_of(changes, fgsm__on_collapse="warn")) for _ in range(2))
    parted = replace(parted, compute=replace(parted.compute, micro_batch=3))
    losses = [[float(step.loss) for step in played(session)] for session in (whole, parted)]
    assert losses[1] == pytest.approx(losses[0], abs=1e-4)


REFUSED = {
    "claf": ("label_smoothing", 0.1),
    "scl": ("label_smoothing", 0.1),
    "natural": ("nuclear_weight", 1.0),
    "trades": ("cross_entropy", "natural"),
}


@pytest.mark.parametrize("method", REFUSED)
def test_a_term_that_a_method_would_ignore_is_refused(method: str) -> None:
    name, value = REFUSED[method]
    objective = {name: value} | ({"nuclear_weight": 1.0} if name == "cross_entropy" else {})
    with pytest.raises(ConfigError, match=f"objective.{name} does nothing in the phases of this {method} run"):
        phases_of(tiny_config(method=method, objective=objective))


@pytest.mark.parametrize("method", ["natural", "at", "fgsm", "trades", "alp", "rocl"])
def test_a_term_that_a_method_heeds_is_taken(method: str) -> None:
    assert phases_of(tiny_config(method=method, objective__label_smoothing=0.1))


def test_attacks_and_inference_know_no_margin() -> None:
    session = tiny_session(config_of(HE))
    model = session.state.network.with_classifier("adversarial")
    images, labels = session.training_batch(torch.arange(8))
    assert isinstance(model.classifier, CosineClassifier)
    climbed = objectives.crafting_target(session, model).outputs(images)
    torch.testing.assert_close(climbed, model.eval()(images), rtol=0, atol=1e-4)
    logits = objectives.trained_logits(session, model, images).detach()
    margin = terms.cross_entropy(session, logits, labels) - F.cross_entropy(logits, labels)
    assert float(margin) > 0.1
    assert float(logits.abs().max()) <= 15


def test_a_smoothed_target_keeps_its_share() -> None:
    session: Session = tiny_session(tiny_config(method="natural", objective__label_smoothing=0.3))
    logits, labels = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)), torch.tensor([0, 1, 2, 3, 0])
    soft = 0.7 * F.one_hot(labels, 4) + 0.3 / 4
    expected = -(soft * logits.log_softmax(1)).sum(1).mean()
    torch.testing.assert_close(terms.cross_entropy(session, logits, labels), expected)


def moved(changes: dict[str, object]) -> set[str]:
    """The parts of the network that training moves."""
    session = tiny_session(config_of(changes))
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts(session.state.network).items()}
    played(session)
    return {
        name
        for name, part in parts(session.state.network).items()
        if any(not torch.equal(before[name][key], value) for key, value in part.state_dict().items())
    }


def test_the_projection_head_learns_with_a_contrast_and_only_then() -> None:
    assert moved(CONTRAST) == {"encoder", "adversarial", "head"}
    assert moved({"method": "at", "averaging__decay": 0.9}) == {"encoder", "adversarial"}


def test_keys_are_projections_of_the_average_without_a_graph() -> None:
    session = tiny_session(config_of(CONTRAST))
    images, _ = session.training_batch(torch.arange(8))
    assert session.state.average is None
    played(session)
    average = session.state.average
    assert average is not None
    keys = terms.natural_keys(session, images)
    assert keys is not None
    assert not keys.requires_grad
    torch.testing.assert_close(keys, average.eval().project(images))
    assert not torch.allclose(keys, session.state.network.eval().project(images))


def test_taking_keys_leaves_the_network_and_its_average_as_they_were() -> None:
    """Also before the first step, when the average is the network itself."""
    session = tiny_session(config_of(CONTRAST))
    network = session.state.network
    images, _ = session.training_batch(torch.arange(8))
    before, flags = copy.deepcopy(network.state_dict()), [module.training for module in network.modules()]
    terms.natural_keys(session, images)
    assert all(torch.equal(before[name], value) for name, value in network.state_dict().items())
    assert [module.training for module in network.modules()] == flags
    assert all(parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(
    ("before", "after"), [({"averaging__decay": 0.9}, CONTRAST), (CONTRAST, {"averaging__decay": 0.9})]
)
def test_a_branch_that_begins_or_leaves_off_contrasting_keeps_one_optimiser(
    before: dict[str, object], after: dict[str, object]
) -> None:
    first = tiny_session(config_of({"method": "at"} | before))
    next(tick for tick in phases_of(first.config)[0].play(first) if isinstance(tick, Boundary))
    branch = replace(first, config=config_of({"method": "at"} | after))
    ticks = (tick for tick in phases_of(branch.config)[0].play(branch) if isinstance(tick, Boundary))
    next(ticks)
    assert len(branch.state.optimizers) == 1
    assert set(branch.state.ledger.averaged) == set(branch.state.optimizers)
    assert len(list(ticks)) == 4
    assert branch.state.optimizers == {}
