"""Methods that plugins register: whole phases, or a loss for one supervised phase."""

from collections.abc import Callable, Generator, Sequence
from typing import TypeVar

from torch import Tensor

from claf_engine.attacks import from_config
from claf_engine.attacks.gradients import Target
from claf_engine.config import RunConfig
from claf_engine.config.registry import METHODS
from claf_engine.events.ticks import Pulse, exhaust
from claf_engine.models.network import Pipeline
from claf_engine.terms.errors import ConfigError
from claf_engine.training.costs import step_cost
from claf_engine.training.phase import Phase
from claf_engine.training.phases.objectives import Batch, Objective, craft, trained_logits
from claf_engine.training.session import Session
from claf_engine.training.supervised_methods import supervised_phase
from claf_engine.training.weight_perturbation import LossOf

Model = Callable[[Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] to fp32 logits (N, K) in train mode, with their graph."""
Attack = Callable[[Tensor, Tensor], Tensor]
"""Images (N, C, H, W) in [0, 1] and labels (N,) to adversarial examples under the attack of training."""
Loss = Callable[[Model, Tensor, Tensor, Attack], Tensor]
"""Model, images (B, C, H, W) in [0, 1], labels (B,) and attack to a 0-d loss with its graph."""
Phases = Callable[[RunConfig], Sequence[Phase]]

LossFunction = TypeVar("LossFunction", bound=Loss)
PhasesFunction = TypeVar("PhasesFunction", bound=Phases)


def register_loss(name: str, *, is_natural: bool = False) -> Callable[[LossFunction], LossFunction]:
    """Register a loss as a method of one supervised phase that minimises it; a decorator.

    The phase has the settings `supervised`. A pause waits until a step ends, because the loss cannot be left inside.

    Args:
        name: of the method.
        is_natural: the loss attacks nothing: the natural classifier is trained, and a fall of robust accuracy is none.

    Raises:
        ConfigError: the name is no plain word, or taken.
    """

    def register(loss: LossFunction) -> LossFunction:
        objective = objective_of(name, loss)

        def phases(config: RunConfig) -> tuple[Phase, ...]:
            cost = step_cost(config, 0 if is_natural else 2 * config.attack.steps, 3)
            return (supervised_phase(config, name, objective, name, cost, is_natural=is_natural),)

        # For the complaint about a name that is taken, and for a notebook cell that is run again.
        phases.__module__, phases.__qualname__ = loss.__module__, loss.__qualname__
        phases.__doc__ = loss.__doc__
        METHODS.add(name, phases)
        return loss

    return register


def register_method(name: str) -> Callable[[PhasesFunction], PhasesFunction]:
    """Register what gives the phases of a method, in order; a decorator.

    Raises:
        ConfigError: the name is no plain word, or taken.
    """

    def register(phases: PhasesFunction) -> PhasesFunction:
        METHODS.add(name, phases)
        return phases

    return register


def objective_of(name: str, loss: Loss) -> Objective:
    """What the supervised loop minimises, of a loss in plain tensors; its attacks are crafted without pulses.

    Where the loss is computed more than once, it sees what its attacks gave the first time.
    """

    def objective(session: Session, model: Pipeline, target: Target, batch: Batch) -> Generator[Pulse, None, LossOf]:
        yield Pulse(name)
        crafted: list[Tensor] = []
        spec = from_config(session.config.attack, session.config.model)

        def logits(images: Tensor) -> Tensor:
            return trained_logits(session, model, images)

        def value() -> Tensor:
            known = iter(tuple(crafted))

            def attack(images: Tensor, labels: Tensor) -> Tensor:
                found = next(known, None)
                if found is None:
                    found = exhaust(craft(session, target, (images.detach(), labels), spec))
                    crafted.append(found)
                return found

            with METHODS.calling(name):
                found = loss(logits, *batch, attack)
            return _require_loss(name, found)

        return value

    return objective


def _require_loss(name: str, loss: object) -> Tensor:
    """Give back what can be minimised.

    Raises:
        ConfigError: it cannot.
    """
    if isinstance(loss, Tensor) and loss.dim() == 0 and loss.requires_grad:
        return loss
    if not isinstance(loss, Tensor):
        found = f"a {type(loss).__name__}"
    else:
        found = f"a tensor of shape {tuple(loss.shape)}" if loss.dim() else "a tensor without a graph"
    raise ConfigError(
        f"loss {name!r} gives {found}; return one number with its graph, such as F.cross_entropy(model(images), labels)"
    )
