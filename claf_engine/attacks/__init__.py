"""First-order attacks as one visible loop (`loop`): what is climbed, in which norm, in which space.

The model is any module from images in [0, 1] to logits; freezing it (eval mode, no parameter gradients) is done here.
"""

from claf_engine.attacks.attacked import Attacked, predict
from claf_engine.attacks.gradients import Gradient, gradient_of, log_odds, logit_margin
from claf_engine.attacks.loop import ascent_steps, attack, attack_steps, require_ball, require_pixels
from claf_engine.attacks.registered import register_attack
from claf_engine.attacks.spaces import PIXEL, RELEASED_CODE, Space, space_of
from claf_engine.attacks.spec import Attack, crossing_step_size, from_config, make_attack

__all__ = [
    "PIXEL",
    "RELEASED_CODE",
    "Attack",
    "Attacked",
    "Gradient",
    "Space",
    "ascent_steps",
    "attack",
    "attack_steps",
    "crossing_step_size",
    "from_config",
    "gradient_of",
    "log_odds",
    "logit_margin",
    "make_attack",
    "predict",
    "register_attack",
    "require_ball",
    "require_pixels",
    "space_of",
]
