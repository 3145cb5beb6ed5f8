"""What grows while a phase goes on: nothing at its first step, and linearly from there."""

from dataclasses import replace
from fractions import Fraction

from claf_engine.attacks import Attack
from claf_engine.training.session import Session


def ramp(progress: Fraction, share: float) -> Fraction:
    """How much something has grown, in [0, 1], that is whole after a share of the phase.

    Args:
        progress: how much of the phase is done, in [0, 1].
        share: in [0, 1]; 0 for what is whole from the beginning. It is meant as it is written.
    """
    return min(Fraction(1), progress / Fraction(str(share))) if share else Fraction(1)


def grown(session: Session, attack: Attack, epochs: int) -> Attack:
    """An attack of training as large as it is by now: radius and step grow together.

    Args:
        session: where the phase stands.
        attack: at its full size.
        epochs: of the phase.
    """
    share = session.config.attack.epsilon_ramp
    if not share:
        return attack
    size = ramp(session.progress(epochs), share)
    return replace(attack, epsilon=attack.epsilon * size, step_size=attack.step_size * size)
