"""Attacks that begin where the last one on their image ended."""

import pytest
import torch
from pydantic import ValidationError

from claf_engine.config import AttackConfig
from claf_engine.data import to_pixels
from claf_engine.terms.errors import ConfigError
from claf_engine.training.methods import phases_of
from claf_engine.training.phases.adversarial import adversarial
from claf_engine.training.session import Session
from tests.engine.training.phases.slow_stage_2 import EPSILON, LEVEL
from tests.engine.training.phases.variants import Crafted, config_of, losses, parts, session_of


def rows_of(session: Session, attack: Crafted) -> list[int]:
    """The training rows of the images of an attack."""
    pixels = to_pixels(session.data.train.images)
    return [int((pixels == image).flatten(1).all(1).nonzero()) for image in attack.images]


def test_an_attack_begins_where_the_last_one_on_its_image_ended(crafted: list[Crafted]) -> None:
    session = session_of("warm start")
    names, ended, num_compared = parts(session), {}, 0
    assert len(crafted) == len(names) == 24
    for attack in crafted:
        assert attack.begin is not None
        for row, begin, end in zip(rows_of(session, attack), attack.begin, attack.ended, strict=True):
            if row in ended:
                assert float((begin - ended[row]).abs().max()) <= LEVEL / 2 + 1e-6
                num_compared += 1
            ended[row] = end
    assert num_compared == 20 * (4 * 2 - 1)


def test_an_attack_that_starts_warm_stays_in_the_ball(crafted: list[Crafted]) -> None:
    losses(session_of("warm start"))
    for attack in crafted:
        assert float((attack.ended - attack.images).abs().max()) <= EPSILON + 1e-6
        assert 0 <= float(attack.ended.min()) <= float(attack.ended.max()) <= 1


def test_the_first_attack_begins_at_random_in_the_ball(crafted: list[Crafted]) -> None:
    losses(session_of("warm start"))
    assert crafted[0].begin is not None
    moved = (crafted[0].begin - crafted[0].images) / EPSILON
    assert float(moved.abs().max()) <= 1 + 1e-4
    assert abs(float(moved.mean())) < 0.05
    assert float(moved.std()) == pytest.approx(3**-0.5, abs=0.03)
    assert not torch.allclose(moved[0], moved[1])


def test_without_a_random_start_the_first_attack_begins_at_the_image(crafted: list[Crafted]) -> None:
    losses(session_of("warm start", attack__random_start=False))
    assert crafted[0].begin is not None
    assert torch.equal(crafted[0].begin, crafted[0].images)
    assert not torch.equal(crafted[-1].begin, crafted[-1].images)


def test_a_radius_of_zero_starts_warm_at_the_image(crafted: list[Crafted]) -> None:
    losses(session_of("warm start", attack__epsilon="0"))
    assert all(torch.equal(attack.ended, attack.images) for attack in crafted)


def test_warm_starts_draw_once_and_never_again() -> None:
    session = session_of("warm start")
    states = {session.state.generators["attack"].get_state().numpy().tobytes() for _ in adversarial(session)}
    assert len(states) == 1


@pytest.mark.parametrize("changes", [{"norm": "l2", "epsilon": "0.5", "step_size": "0.2"}, {"space": "released-code"}])
def test_a_warm_start_in_another_norm_or_space_is_refused(changes: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"attack\.warm_start works in norm linf and space pixel alone"):
        AttackConfig.model_validate({"warm_start": True, **changes})


def test_a_warm_start_on_random_crops_is_refused() -> None:
    config = config_of("warm start", adversarial__source="crop")
    with pytest.raises(ConfigError, match=r"attack\.warm_start needs adversarial\.source = 'image'"):
        phases_of(config)


@pytest.mark.parametrize("method", ["at", "rocl", "scl"])
def test_a_warm_start_that_would_be_ignored_is_refused(method: str) -> None:
    with pytest.raises(ConfigError, match=rf"warm_start works in method claf alone, not in {method}"):
        phases_of(config_of("warm start", method=method))
