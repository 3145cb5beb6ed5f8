"""How much faster is linear evaluation with cached features than passing the encoder again in every epoch?

The encoder is frozen and the images are not augmented, so the engine computes the features once and fits the classifier
on them; the straightforward side passes every image through the frozen encoder in every epoch, under no_grad. Both
compute in fp32 (on CUDA torch's defaults let the straightforward side use TF32) and take the same optimiser steps.

Epochs of the straightforward side are all alike. So only --measured-epochs of them are played, and their time is scaled
to --epochs; the table and the JSON file say so. The engine plays all of them, features included.

On an accelerator the time that the straightforward side waits for its data loader is left out, as if worker processes
hid all of it; on a CPU it counts.

The title says how far the losses of both sides lie apart in a short run on the same numbers.
"""

from collections.abc import Sequence
from typing import Any

from benchmarks import straightforward
from benchmarks.common import Side, Work, alternate, parser, show, write
from benchmarks.engine_side import (
    CHECKED_IN,
    Loading,
    SharedBatches,
    Size,
    add_size_flags,
    configure,
    differences,
    losses_of,
    median_seconds,
    plain_images,
    plain_model,
    start_session,
    twin_of,
)
from benchmarks.epochs import settle
from claf_engine.config import RunConfig, RuntimeConfig
from claf_engine.models.network import NATURAL
from claf_engine.training.phases.linear import linear_evaluation
from claf_engine.training.state import Cursor

ENGINE, PLAIN = "engine", "straightforward"
CHECKED_EPOCHS = 3


def main(argv: Sequence[str] | None = None) -> None:
    """Compare, print the table and write the JSON file."""
    made = parser(__doc__)
    add_size_flags(made, images=512, batch=256)
    made.add_argument("--epochs", type=int, default=100, help="epochs of the classifier (default 100)")
    made.add_argument(
        "--measured-epochs", type=int, default=1, help="how many of them the straightforward side plays (default 1)"
    )
    flags = made.parse_args(argv)
    size = Size(flags.images, flags.batch, flags.width)
    config = configure(size, settle(flags.device), settings(flags.epochs))
    checked = check(size, flags.device)
    sides = [
        Side(PLAIN, prepare_plain, (size, flags.device, flags.measured_epochs)),
        Side(ENGINE, prepare_engine, (config, size.images)),
    ]
    found = alternate(sides, flags.repeats, flags.device)
    plain, engine = median_seconds(found[0], ("fit",)), found[1].median
    scaled = plain * flags.epochs / flags.measured_epochs
    rows = [
        (f"{PLAIN}, scaled", str(flags.measured_epochs), f"{plain:.2f}", f"{scaled:.2f}", "1.00x"),
        (ENGINE, str(flags.epochs), f"{engine:.2f}", f"{engine:.2f}", f"{scaled / engine:.1f}x"),
    ]
    columns = ("side", "epochs measured", "seconds", f"seconds of {flags.epochs} epochs", "faster")
    show(f"Linear evaluation: {size}; losses within {max(checked):.1e}", columns, rows, flags.device)
    figures = {
        "ratios": {"linear": scaled / engine},
        "size": vars(size),
        "epochs": flags.epochs,
        "straightforward_measured_epochs": flags.measured_epochs,
        "straightforward_scaled_seconds": scaled,
        "loss_differences": checked,
        "sides": {side.name: side.plain() for side in found},
    }
    write(flags.json, figures, flags.device)


def settings(epochs: int) -> dict[str, Any]:
    """What both sides share."""
    return {"linear_evaluation": {"epochs": epochs, "optimizer": {"schedule": "constant"}}}


def prepare_engine(config: RunConfig, num_images: int) -> Work:
    """The whole phase, again from its beginning at each repetition."""
    session = start_session(config, num_images)

    def fit() -> None:
        session.state.cursor = Cursor()
        for _ in linear_evaluation(session):
            pass

    return fit


def prepare_plain(size: Size, device: str, epochs: int) -> Work:
    """Some epochs of the straightforward loop; their seconds, and those of waiting for images."""
    model = plain_model(size, device)
    train, view = plain_images(size), straightforward.unchanged_view()
    batches = Loading(straightforward.loader(train.images[:], train.labels, size.batch, [view]))

    def fit() -> dict[str, float]:
        seconds, waited = batches.clock(lambda: straightforward.linear_evaluation(model, batches, epochs), device)
        return {"fit": seconds, "waiting": waited}

    return fit


def check(size: Size, device: str) -> list[float]:
    """Fit for a few epochs in fp32 with both sides, on the same random numbers: how far the losses lie apart."""
    small = size.checked
    config = configure(small, RuntimeConfig(device=device), settings(CHECKED_EPOCHS), CHECKED_IN)
    ours, theirs = (start_session(config, small.images) for _ in range(2))
    batches = SharedBatches(theirs, lambda images: [images])
    expected = straightforward.linear_evaluation(twin_of(theirs, NATURAL), batches, CHECKED_EPOCHS)
    return differences(losses_of(linear_evaluation(ours)), expected)


if __name__ == "__main__":
    main()
