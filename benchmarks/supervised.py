"""How much faster are epochs of adversarial training and of TRADES than straightforward loops?

AT attacks with PGD-10 of 2/255 at 8/255, TRADES with ten steps of 0.007 at 0.031, as released: there the natural images
pass the network again in every step of the attack, and twice in the loss. Attacks see BatchNorm's running statistics on
both sides. The engine computes in its training precision; the straightforward side is `straightforward.py`: fp32 with
torch's own defaults, which on CUDA let convolutions use TF32.

On an accelerator the time that the straightforward side waits for its data loader is left out, as if worker processes
hid all of it; on a CPU it counts.

The titles say how far the losses of both sides lie apart in a short run in fp32 on the same numbers. TRADES agrees less
closely: near the image its gradient is almost zero, and BatchNorm sees the natural images twice in the released loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from benchmarks import straightforward
from benchmarks.common import Side, Work, alternate, parser, show, write
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
from claf_engine.data.views import shift_and_flip
from claf_engine.models.network import ADVERSARIAL
from claf_engine.training.methods import phases_of

ENGINE, PLAIN = "engine", "straightforward"
EPOCH = ("epoch",)
CHECKED_EPOCHS = 2


@dataclass(frozen=True)
class Method:
    """One of the two.

    Attributes:
        title: for the table.
        attack: settings of the attack.
        draw: what the random start is drawn from.
        noise: the same in the shape of its argument.
    """

    title: str
    attack: dict[str, str]
    draw: Any
    noise: straightforward.Noise


METHODS = {
    "at": Method("adversarial training", {"epsilon": "8/255", "step_size": "2/255"}, torch.rand, torch.rand_like),
    "trades": Method("TRADES", {"epsilon": "0.031", "step_size": "0.007"}, torch.randn, torch.randn_like),
}


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print a table for each method and write the JSON file."""
    made = parser(__doc__)
    add_size_flags(made, images=128, batch=64)
    made.add_argument("--steps", type=int, default=10, help="K, steps of the attack (default 10)")
    flags = made.parse_args(argv)
    size = Size(flags.images, flags.batch, flags.width)
    runtime = settle(flags.device)
    figures: dict[str, Any] = {
        "ratios": {},
        "size": vars(size),
        "steps": flags.steps,
        "runtime": runtime.model_dump(mode="json"),
        "methods": {},
    }
    for name, method in METHODS.items():
        values = settings(name, flags.steps)
        config, checked = configure(size, runtime, values), check(size, flags.device, values)
        sides = [
            Side(PLAIN, prepare_plain, (size, config, flags.device)),
            Side(ENGINE, prepare_engine, (config, size.images)),
        ]
        found = alternate(sides, flags.repeats, flags.device)
        plain, engine = (median_seconds(side, EPOCH) for side in found)
        figures["ratios"][name] = plain / engine
        figures["methods"][name] = {"loss_differences": checked, "sides": {side.name: side.plain() for side in found}}
        rows = [(PLAIN, f"{plain:.2f}", "1.00x"), (ENGINE, f"{engine:.2f}", f"{plain / engine:.2f}x")]
        title = f"{size}, K={flags.steps}; {described(runtime)}; losses within {max(checked):.1e}"
        show(f"One epoch of {method.title}: {title}", ("side", "seconds", "faster"), rows, flags.device)
    write(flags.json, figures, flags.device)


def settings(method: str, steps: int) -> dict[str, Any]:
    """What both sides share."""
    return {
        "method": method,
        "attack": {"steps": steps, **METHODS[method].attack},
        "supervised": {"epochs": ENDLESS, "attack_batch_norm": "running", "optimizer": STEADY},
    }


def prepare_engine(config: RunConfig, num_images: int) -> Work:
    """The next epoch of a run of the engine; its seconds."""
    session = start_session(config, num_images)
    (phase,) = phases_of(config)
    ticks = phase.play(session)
    return lambda: play_epoch(ticks, session.compute.device, EPOCH)


def prepare_plain(size: Size, config: RunConfig, device: str) -> Work:
    """The next epoch of the straightforward loop; its seconds, and those of waiting for images."""
    plain = PlainTraining(plain_model(size, device), config, METHODS[config.method].noise)
    train, view = plain_images(size), straightforward.shifted_view(SIZE)
    batches = Loading(straightforward.loader(train.images[:], train.labels, size.batch, [view]))

    def epoch() -> dict[str, float]:
        seconds, waited = batches.clock(lambda: plain.epoch(batches), device)
        return {EPOCH[0]: seconds, "waiting": waited}

    return epoch


class PlainTraining:
    """A straightforward loop with the settings of a run of the engine."""

    def __init__(self, model: straightforward.Model, config: RunConfig, noise: straightforward.Noise) -> None:
        spec = config.attack
        self._model, self._config = model, config
        self._attack = straightforward.Attack(float(spec.epsilon), float(spec.step_size), spec.steps, noise)
        self._optimizer = plain_sgd(config.supervised.optimizer, model.encoder, model.classifier)

    def epoch(self, batches: straightforward.Batches) -> list[float]:
        """One pass over the images; the loss of each step."""
        if self._config.method == "trades":
            beta = self._config.trades.beta
            return straightforward.trades(self._model, batches, self._attack, self._optimizer, beta)
        return straightforward.adversarial_training(self._model, batches, self._attack, self._optimizer)


def check(size: Size, device: str, values: dict[str, Any]) -> list[float]:
    """Play two short epochs in fp32 with both sides, on the same random numbers: how far the losses lie apart."""
    small, short = size.checked, {**values, "supervised": {**values["supervised"], "epochs": CHECKED_EPOCHS}}
    config = configure(small, RuntimeConfig(device=device), short, CHECKED_IN)
    ours, theirs = (start_session(config, small.images) for _ in range(2))
    noise = shared_noise(theirs, METHODS[config.method].draw)
    plain = PlainTraining(twin_of(theirs, ADVERSARIAL), config, noise)
    stream = theirs.state.generators[VIEWS]
    batches = SharedBatches(theirs, lambda images: [shift_and_flip(images, config.views, stream)])
    expected = [loss for _ in range(CHECKED_EPOCHS) for loss in plain.epoch(batches)]
    (phase,) = phases_of(config)
    return differences(losses_of(phase.play(ours)), expected)


if __name__ == "__main__":
    main()
