"""How much faster is an epoch of CLAF's second stage than Algorithm 1 written down plainly?

One epoch retrains the classifier N times over attacked images, then trains the encoder once with two views and an
attacked image; what is attacked is the image itself. Both sides take the same optimiser steps. The engine computes in
its training precision with its exact savings; each --variant adds a side with other settings of the engine, such as
those that change the method. The straightforward side is `straightforward.py`: fp32 with torch's own defaults, which on
CUDA let convolutions use TF32.

Not counted: the engine's watch over its classifier on validation images, which the other side does not have; each part
is timed to its last step. On an accelerator the time that the straightforward side waits for its data loader does not
count either, as if worker processes hid all of it; on a CPU it counts.

The title says how far the losses of both sides lie apart in a short run in fp32 on the same numbers.
"""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from benchmarks import straightforward
from benchmarks.common import Measured, Side, Work, alternate, parser, show, write
from benchmarks.engine_side import (
    CHECKED_IN,
    ENDLESS,
    STEADY,
    Loading,
    SharedBatches,
    Size,
    add_size_flags,
    configure,
    described,
    differences,
    losses_of,
    median_seconds,
    plain_images,
    plain_model,
    plain_sgd,
    play_epoch,
    shared_noise,
    start_session,
    twin_of,
)
from benchmarks.epochs import SIZE, settle
from claf_engine.compute.seeding import VIEWS
from claf_engine.config import RunConfig, RuntimeConfig
from claf_engine.data.views import make_views
from claf_engine.models.network import ATTACK_CLASSIFIER
from claf_engine.training.phases.adversarial import adversarial
from claf_engine.training.session import Session

EXACT, PLAIN = "exact", "straightforward"
PARTS = RETRAIN, ENCODER = "retrain", "encoder"
CHECKED_EPOCHS = 2


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print the table and write the JSON file."""
    made = parser(__doc__)
    add_size_flags(made, images=128, batch=64)
    made.add_argument("--steps", type=int, default=5, help="K, steps of the attack (default 5)")
    made.add_argument("--sweeps", type=int, default=5, help="N, passes of classifier retraining (default 5)")
    made.add_argument(
        "--variant",
        nargs="+",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one more side: the engine with these settings; may be given several times",
    )
    flags = made.parse_args(argv)
    size = Size(flags.images, flags.batch, flags.width)
    values, runtime = settings(flags.steps, flags.sweeps), settle(flags.device)
    configs = {
        " ".join(variant) or EXACT: configure(size, runtime, values, variant) for variant in [[], *flags.variant]
    }
    checked = check(size, flags.device, values)
    sides = [Side(name, prepare_engine, (config, size.images)) for name, config in configs.items()]
    plain = Side(PLAIN, prepare_plain, (size, configs[EXACT], flags.device))
    found = alternate([plain, *sides], flags.repeats, flags.device)
    title = f"{size}, N={flags.sweeps}, K={flags.steps}; {described(runtime)}; losses within {max(checked):.1e}"
    ratios = report(found, title, flags.device)
    figures = {
        "ratios": ratios,
        "size": vars(size),
        "steps": flags.steps,
        "sweeps": flags.sweeps,
        "runtime": runtime.model_dump(mode="json"),
        "loss_differences": checked,
        "sides": {side.name: {**side.plain(), "parts": parts_of(side)} for side in found},
    }
    write(flags.json, figures, flags.device)


def settings(steps: int, sweeps: int) -> dict[str, Any]:
    """What both sides share."""
    return {
        "attack": {"steps": steps},
        "adversarial": {"epochs": ENDLESS, "classifier_epochs": sweeps, "source": "image"},
        "features_optimizer": STEADY,
    }


def prepare_engine(config: RunConfig, num_images: int) -> Work:
    """The next epoch of a run of the engine; seconds of each part."""
    session = start_session(config, num_images)
    ticks = adversarial(session)
    return lambda: play_epoch(ticks, session.compute.device, PARTS)


def prepare_plain(size: Size, config: RunConfig, device: str) -> Work:
    """The next epoch of Algorithm 1; seconds of each part and of waiting for images."""
    model = plain_model(size, device)
    plain = Algorithm1(model, config, torch.rand_like)
    train, unchanged = plain_images(size), straightforward.unchanged_view()
    view = straightforward.contrastive_view(SIZE)
    batches = Loading(straightforward.loader(train.images[:], train.labels, size.batch, [unchanged]))
    views = Loading(straightforward.loader(train.images[:], train.labels, size.batch, [unchanged, view, view]))

    def epoch() -> dict[str, float]:
        retrain, waited = batches.clock(lambda: plain.retrain(batches), device)
        encoder, waited_too = views.clock(lambda: plain.train_encoder(views), device)
        return {RETRAIN: retrain, ENCODER: encoder, "waiting": waited + waited_too}

    return epoch


class Algorithm1:
    """Both loops of the straightforward side, with the settings of a run of the engine."""

    def __init__(self, model: straightforward.Model, config: RunConfig, noise: straightforward.Noise) -> None:
        spec = config.attack
        self._model, self._config = model, config
        self._attack = straightforward.Attack(float(spec.epsilon), float(spec.step_size), spec.steps, noise)
        self._optimizer = plain_sgd(config.features_optimizer, model.encoder, model.head)

    def retrain(self, batches: straightforward.Batches) -> list[float]:
        """The first loop, N passes."""
        sweeps = self._config.adversarial.classifier_epochs
        return straightforward.retrain(self._model, batches, self._attack, sweeps)

    def train_encoder(self, batches: straightforward.Batches) -> list[float]:
        """The second loop."""
        temperature = self._config.contrastive.temperature
        return straightforward.train_encoder(self._model, batches, self._attack, self._optimizer, temperature)


def check(size: Size, device: str, values: dict[str, Any]) -> list[float]:
    """Play two short epochs in fp32 with both sides, on the same random numbers: how far the losses lie apart."""
    small, short = size.checked, {**values, "adversarial": {**values["adversarial"], "epochs": CHECKED_EPOCHS}}
    config = configure(small, RuntimeConfig(device=device), short, CHECKED_IN)
    ours, theirs = (start_session(config, small.images) for _ in range(2))
    plain = Algorithm1(twin_of(theirs, ATTACK_CLASSIFIER), config, shared_noise(theirs, torch.rand))
    batches, views = SharedBatches(theirs, lambda images: [images]), SharedBatches(theirs, views_of(theirs))
    expected = []
    for _ in range(CHECKED_EPOCHS):
        expected += plain.retrain(batches) + plain.train_encoder(views)
    return differences(losses_of(adversarial(ours)), expected)


def views_of(session: Session) -> Callable[[Tensor], list[Tensor]]:
    """Images, and two views of each as the engine draws them."""
    config, generator = session.config.views, session.state.generators[VIEWS]
    return lambda images: [images, *make_views(images, config, 2, generator).unbind(1)]


def report(found: Sequence[Measured], title: str, device: str) -> dict[str, float]:
    """Print the table; how many times faster than the straightforward side each other side is."""
    seconds = {side.name: median_seconds(side, PARTS) for side in found}
    ratios = {name: seconds[PLAIN] / value for name, value in seconds.items() if name != PLAIN}
    rows = [
        (
            side.name,
            f"{seconds[side.name]:.2f}",
            *(f"{parts_of(side)[part]:.2f}" for part in PARTS),
            f"{seconds[PLAIN] / seconds[side.name]:.2f}x",
        )
        for side in found
    ]
    show(f"One epoch of CLAF's stage 2: {title}", ("side", "seconds", *PARTS, "faster"), rows, device)
    return ratios


def parts_of(side: Measured) -> dict[str, float]:
    """Median seconds of each part of a repetition."""
    return {part: statistics.median(returned[part] for returned in side.returned) for part in side.returned[0]}


if __name__ == "__main__":
    main()
