"""The rotation loss beside adversarial training, against a plain loop of Hendrycks et al. (2019), section 3.1."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from claf_engine.events.ticks import Boundary, PartEnd
from claf_engine.models.network import ADVERSARIAL
from claf_engine.terms.errors import ConfigError
from claf_engine.training.methods import phases_of
from claf_engine.training.phases.objectives import crafting_target
from claf_engine.training.session import Session
from tests.engine.tiny import tiny_config, tiny_session
from tests.engine.training.phases.test_objectives import Plain, played

WEIGHT = 0.5
attacks = pytest.mark.parametrize("in_attack", [False, True])


class PlainRotation(Plain):
    """CE(x') + w/4 sum over r of CE_rot(R_r(x'), r); the attack may climb the same sum."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        self.head = session.companion("rotation")
        full = torch.nn.ModuleList([self.model, self.head])
        self.parameters = full.parameters
        self.model.parameters = full.parameters  # type: ignore[method-assign]

    def turns(self, encoder: torch.nn.Module, x: Tensor) -> Tensor:
        features = encoder(torch.cat([x.rot90(r, (2, 3)) for r in range(4)]))
        answers = torch.arange(4).repeat_interleave(len(x))
        return F.cross_entropy(self.head(features), answers)

    def loss(self, x: Tensor, y: Tensor) -> Tensor:
        target = self.target()

        def climbed(point: Tensor) -> Tensor:
            found = F.cross_entropy(target(point), y)
            if self.config.objective.rotation_in_attack:
                found = found + WEIGHT * self.turns(target.encoder, point)  # type: ignore[arg-type]
            return found

        plan = self.config.attack.steps, self.config.attack.step_size
        x_adv = self.climb(climbed, x, self.uniform(x), plan)
        model = self.model.train()
        return F.cross_entropy(model(x_adv), y) + WEIGHT * self.turns(model.encoder, x_adv)


def session_of(method: str = "at", *, in_attack: bool = False, **changes: object) -> Session:
    objective = {"rotation_weight": WEIGHT, "rotation_in_attack": in_attack}
    return tiny_session(tiny_config(method=method, objective=objective, **changes))


@attacks
@pytest.mark.parametrize("mode", ["running", "batch"])
def test_it_is_the_plain_loop_of_its_equations_loss_for_loss(in_attack: bool, mode: str) -> None:
    settings = {"supervised__attack_batch_norm": mode}
    session = session_of(in_attack=in_attack, **settings)
    plain = PlainRotation(session_of(in_attack=in_attack, **settings))
    losses, expected = [float(step.loss) for step in played(session)], plain.losses()
    assert losses[0] == pytest.approx(expected[0], abs=1e-6)
    assert losses == pytest.approx(expected, abs=1e-3)


def test_the_attack_climbs_the_gradient_of_the_sum() -> None:
    session = session_of(in_attack=True)
    plain = PlainRotation(session)
    model = session.state.network.with_classifier(ADVERSARIAL)
    images, labels = torch.rand((4, 3, 8, 8), generator=torch.Generator().manual_seed(2)), torch.arange(4)
    target = crafting_target(session, model)
    found = target.gradient(_cross_entropies, labels)(images)
    model.eval()
    images.requires_grad_(True)
    loss = F.cross_entropy(model(images), labels) + WEIGHT * plain.turns(model.encoder, images)
    (expected,) = torch.autograd.grad(4 * loss, images)
    assert torch.allclose(found, expected, atol=1e-6)


def _cross_entropies(logits: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(logits, labels, reduction="none")


def test_refreshing_the_target_takes_over_what_the_head_has_learnt() -> None:
    session = session_of(in_attack=True)
    model = session.state.network.with_classifier(ADVERSARIAL)
    target, images = crafting_target(session, model), torch.full((2, 3, 8, 8), 0.5)
    images[..., :4] = 0.2
    before = target.gradient(_cross_entropies, torch.zeros(2, dtype=torch.int64))(images)
    with torch.no_grad():
        for weight in (*session.companion("rotation").parameters(), *session.state.network.encoder.parameters()):
            weight.mul_(1.5)
    target.refresh()
    fresh = crafting_target(session, model)
    labels = torch.zeros(2, dtype=torch.int64)
    after = target.gradient(_cross_entropies, labels)(images)
    assert not torch.equal(after, before)
    assert torch.allclose(after, fresh.gradient(_cross_entropies, labels)(images), atol=1e-7)


@pytest.mark.parametrize("method", ["at", "fgsm", "trades", "alp"])
def test_the_head_learns_with_encoder_and_classifier_and_goes_at_the_end(method: str) -> None:
    session = session_of(method)
    head = session.companion("rotation")
    before = [weight.clone() for weight in head.parameters()]
    (phase,) = phases_of(session.config)
    steps = phase.play(session)
    while not isinstance(next(steps), PartEnd):
        pass
    assert list(session.state.optimizers) == ["encoder+adversarial+rotation"]
    assert all(not torch.equal(one, two) for one, two in zip(before, head.parameters(), strict=True))
    list(steps)
    assert (session.state.companions, session.state.optimizers) == ({}, {})


def test_without_a_weight_nothing_is_trained_beside_and_the_loss_keeps_its_name() -> None:
    session = tiny_session(tiny_config(method="at"))
    names = {tick.loss_name for tick in phases_of(session.config)[0].play(session) if isinstance(tick, Boundary)}
    assert names == {"cross_entropy"}
    assert session.state.companions == {}


def test_a_branch_that_leaves_it_off_forgets_the_head() -> None:
    session, plain = session_of(), tiny_session(tiny_config(method="at"))
    next(tick for tick in phases_of(session.config)[0].play(session) if isinstance(tick, Boundary))
    branch = Session(plain.config, plain.compute, plain.data, session.state, 0)
    next(tick for tick in phases_of(branch.config)[0].play(branch) if isinstance(tick, Boundary))
    assert session.state.companions == {}
    assert list(session.state.optimizers) == ["encoder+adversarial"]


def test_natural_training_refuses_it() -> None:
    with pytest.raises(ConfigError, match="objective.rotation_weight does nothing in the phases of this natural run"):
        phases_of(tiny_config(method="natural", objective__rotation_weight=1.0))
