"""What processes that train together do in the tests, once with one process and once with several."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import torch

from claf_engine.accuracy.measure import accuracy_steps
from claf_engine.accuracy.suite import AttackSuite
from claf_engine.compute.world import World
from claf_engine.events.control import Control
from claf_engine.events.ticks import Boundary, exhaust
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.network import NATURAL
from claf_engine.terms.errors import DataError
from claf_engine.training.agreement import Agreement
from claf_engine.training.checkpoint import state_tensors
from claf_engine.training.methods import feature_epochs, phases_of
from claf_engine.training.phases.linear import feature_steps
from claf_engine.training.session import Session
from claf_engine.training.state import begin
from tests.engine.tiny import FP32, tiny_config, tiny_data

METHODS: dict[str, dict[str, Any]] = {
    "scl": {"method": "scl", "contrastive__epochs": 1, "linear_evaluation__epochs": 1},
    "claf": {
        "method": "claf",
        "contrastive__epochs": 0,
        "adversarial__epochs": 1,
        "linear_evaluation__epochs": 1,
        "attack__warm_start": True,
        "adversarial__classifier_epochs": 2,
        "adversarial__classifier_refresh": "replay",
    },
    "at": {"method": "at", "supervised__epochs": 1, "supervised__view": "shift"},
    "at averaged": {"method": "at", "supervised__epochs": 1, "averaging__decay": 0.9},
    "trades perturbed": {"method": "trades", "supervised__epochs": 1, "weight_perturbation__gamma": 0.01},
    "at perturbed in micro-batches": {
        "method": "at",
        "supervised__epochs": 1,
        "weight_perturbation": {"gamma": 0.01, "after": 0},
        "runtime__micro_batch": 3,
    },
    "at with batch statistics": {"method": "at", "supervised__epochs": 1, "supervised__attack_batch_norm": "batch"},
    "trades": {"method": "trades", "supervised__epochs": 1},
    "alp": {"method": "alp", "supervised__epochs": 1},
    "two encoders": {"method": "two-encoders", "supervised__epochs": 1, "two_encoders__positives": "class"},
    "two encoders apart": {"method": "two-encoders", "supervised__epochs": 1, "two_encoders__training": "separate"},
    "clp": {"method": "clp", "supervised__epochs": 1, "clp": {"squeezing": 0.1, "noise": 0.1}},
    "union": {"method": "union", "supervised__epochs": 1},
    "rotation": {"method": "pretext", "pretext__epochs": 1, "pretext__images": "adversarial", "supervised__epochs": 1},
    "jigsaw": {
        "method": "pretext",
        "pretext": {"epochs": 1, "task": "jigsaw", "grid": 2, "permutations": 12},
        "supervised__epochs": 1,
    },
    "selfie": {  # natural images: rounding turns signs of gradients that are next to nothing, and attacks step by signs
        "method": "pretext",
        "pretext": {"epochs": 1, "task": "selfie", "grid": 4, "attention_layers": 1, "images": "natural"},
        "supervised__epochs": 1,
    },
    "nuat": {
        "method": "fgsm",
        "supervised__epochs": 1,
        "attack__start": "bernoulli",
        "fgsm__step_size": "8/255",
        "objective": {"nuclear_weight": 4.0, "cross_entropy": "natural"},
    },
    "trades with terms": {
        "method": "trades",
        "supervised__epochs": 1,
        "averaging__decay": 0.9,
        "trades__weighting": "true-class",
        "objective": {"nuclear_weight": 4.0, "label_smoothing": 0.1, "contrast_weight": 0.5},
    },
    "scl in micro-batches": {
        "method": "scl",
        "contrastive__epochs": 1,
        "linear_evaluation__epochs": 1,
        "runtime__micro_batch": 3,
    },
    "at in micro-batches": {"method": "at", "supervised__epochs": 1, "runtime__micro_batch": 3},
    "trades recomputing": {"method": "trades", "supervised__epochs": 1, "runtime__recompute": True},
}
"""Settings by the name of a case."""
NUM_TRAIN = 25
"""In batches of 8 the last batch is of one image, of which all processes but one have nothing."""


def session_of(world: World, **changes: Any) -> Session:
    """A tiny run in this world."""
    config, data = tiny_config(**changes), tiny_data(NUM_TRAIN)
    compute = replace(FP32, world=world, micro_batch=config.runtime.micro_batch, recompute=config.runtime.recompute)
    return Session(config, compute, data, begin(config, 4, compute), feature_epochs(phases_of(config)))


def train(world: World) -> dict[str, Any]:
    """Losses of every method, the gradient of the first step of each of its parts, and a hash of how it ended."""
    found = {name: _train(session_of(world, **changes), list) for name, changes in METHODS.items()}
    rocl = session_of(world, method="rocl")
    acl = session_of(world, method="acl")
    first = {"rocl": rocl, "acl": acl}
    return {**found, **{name: _train(session, lambda steps: [next(steps)]) for name, session in first.items()}}


def _train(session: Session, take: Any) -> dict[str, Any]:
    losses, gradients = [], {}
    for tick in take(_steps(session)):
        losses.append([tick.part, float(tick.loss), tick.num_images])
        if tick.part not in gradients:
            weights = session.state.network.parameters()
            found = [weight.grad.flatten() for weight in weights if weight.grad is not None]
            gradients[tick.part] = torch.cat(found).tolist()
    return {"losses": losses, "gradients": gradients, "state": hash_tensors(state_tensors(session.state))}


def _steps(session: Session) -> Iterator[Boundary]:
    for phase in phases_of(session.config):
        for tick in phase.play(session):
            if isinstance(tick, Boundary):
                yield tick
        session.state.cursor.end_phase()


def measure(world: World) -> dict[str, Any]:
    """What is measured on 43 images in batches of five, and what the processes say to each other."""
    session = session_of(world)
    model, test = session.state.network.with_classifier(NATURAL), tiny_data(8, num_other=43).test
    seen: list[int] = []
    model.register_forward_pre_hook(lambda _, given: seen.extend(_places(given[0], test.images)))
    suite = AttackSuite(("0", "8/255", "16/255"), steps=2, restarts=2)
    accuracy = exhaust(accuracy_steps(model, test, suite, session.compute, 5))
    features = exhaust(feature_steps(session.state.network.encoder, session.data.train, session.compute))
    return {
        "natural": accuracy.natural,
        "robust": [repr(figure) for figure in accuracy.robust],
        "outcomes": [outcome.tolist() for outcome in accuracy.outcomes],
        "seen": seen,
        "features": hash_tensors({"features": features}),
        "gradient": _gathered_gradient(world),
        "sent": world.send(bytes(range(200)) if world.rank == 0 else b"unheard").hex(),
        "refused": _refused(world),
        "agreed": _agreed(world),
    }


def _gathered_gradient(world: World) -> list[Any]:
    """Of 7 rows, where every process makes something else of all of them."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(7, 3, generator=generator, dtype=torch.float64)
    factors = torch.randn(4, 7, 3, generator=generator, dtype=torch.float64)
    part = world.part(7)
    own = part.take(rows).clone().requires_grad_(True)
    order = torch.cat([torch.arange(7)[rank :: world.size] for rank in range(world.size)])
    made_of = factors if world.is_single else factors[world.rank : world.rank + 1]
    (part.gather_with_graph(own).square() * made_of.sum(0)[order]).sum().backward()
    assert own.grad is not None
    return own.grad.tolist()


def _places(given: Any, images: Any) -> list[int]:
    """Which images of a split these are, where they are of it as they are."""
    levels = (given * 255).round().to(images.dtype)
    is_equal = (levels[:, None] == images[None]).flatten(2).all(2)
    return [int(row.nonzero()[0, 0]) for row in is_equal if bool(row.any())]


def _refused(world: World) -> str:
    try:
        world.require_same("the images", "others" if world.rank and world.rank == world.size - 1 else "same")
    except DataError as error:
        return str(error)
    return ""


def _agreed(world: World) -> list[Any]:
    """What processes have agreed on after each of a few wishes; the last process wants to stop."""
    if world.is_single:
        return []
    asked = Control()
    agreement, said = Agreement(asked, world), []

    def agree() -> None:
        agreement.agree()
        requests = agreement.take_requests()
        edits = [[edit.name, edit.value] for edit in requests.edits]
        said.append([agreement.status, agreement.stop_requested, requests.probe, requests.checkpoint, edits])

    agree()
    agreement.pause()  # of all processes the first one counts
    agree()
    said.append(agreement.wait_while_paused(0.01) > 0)
    agreement.resume()
    agreement.probe_now()
    agreement.edit("learning_rate", 0.5 + world.rank)
    agree()
    if world.rank == world.size - 1:
        asked.stop()
    agree()
    return said
