"""Question 1: how much faster than torchattacks and foolbox is PGD here, and does it reach the same robust accuracy?

Time: PGD-10 at 8/255 in steps of 2/255 from a random start, on a ResNet-18 of the same weights for every side and one
batch of random 32x32 images. Ours is called as a training loop calls it: the weights have just changed, so what an
attack derives from them is derived anew for each batch. Theirs are called as their documentation does: fp32,
contiguous, a plain network in eval mode, labels given, torch's default settings. All use as many threads. The ratios
are their seconds over ours.

Robust accuracy: a small network is trained on drawn shapes (recipe `at` at scale `tiny`, but in a ball of 2/255, so
that an attack at 8/255 breaks some images and not others). Every side attacks the same unseen images, and one judge for
all, the plain network in fp32, says which attacks failed. Every side draws its random starts from torch's default
generator, which is seeded alike before each batch: all begin at the same points, so that what is left between them is
not chance but rounding and the loss that is climbed.
"""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from benchmarks.attackers import (
    ATTACKERS,
    CPU,
    LIBRARIES,
    NUM_CLASSES,
    SEED,
    attack_of,
    from_start,
    random_batch,
    random_network,
    runtimes,
)
from benchmarks.common import Measured, Side, Work, Worker, alternate, parser, show, write
from claf_engine.attacks import predict, require_ball
from claf_engine.compute.device import Compute, choose_compute, exact_fp32, make_generator, own_process
from claf_engine.config import ModelConfig, RunConfig, RuntimeConfig
from claf_engine.config.presets import Override
from claf_engine.data import Split, load_dataset, to_pixels
from claf_engine.models.network import ADVERSARIAL, Pipeline, build_network
from claf_engine.reproduce.scales import resolve_recipe
from claf_engine.training.methods import feature_epochs, phases_of
from claf_engine.training.session import Session
from claf_engine.training.state import begin

ACCURACY_BATCH = 250
BAR_POINTS = 0.5


@dataclass(frozen=True)
class Task:
    """What all sides are timed on; picklable, and every side builds the same network and images from it."""

    steps: int
    batch: int
    width: int


def main(argv: Sequence[str] | None = None) -> None:
    """Time all sides, measure what their attacks leave, print two tables and write the JSON file."""
    wanted = _arguments(argv)
    task, settings = Task(wanted.steps, wanted.batch, wanted.width), runtimes(wanted.device)
    sides = [Side(name, prepare_timing, (name, task, runtime)) for name, runtime in settings.items()]
    times = {found.name: found for found in alternate(sides, wanted.repeats, wanted.device)}
    ratios = ratios_of(times)
    _show_times(task, times, wanted.device)
    figures: dict[str, Any] = {"settings": vars(task), "ratios": ratios}
    figures["sides"] = {name: found.plain() | found.returned[-1] for name, found in times.items()}
    if wanted.images:
        accuracies = measure_accuracy(wanted, settings)
        _show_accuracy(wanted, accuracies)
        figures |= accuracies
    write(wanted.json, figures, wanted.device)


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    flags = parser(__doc__)
    flags.add_argument("--steps", type=int, default=10, help="attack steps (default 10)")
    flags.add_argument("--batch", type=int, default=128, help="images of the timed batch (default 128)")
    flags.add_argument("--width", type=int, default=64, help="width of the timed ResNet-18 (default 64)")
    flags.add_argument(
        "--images", type=int, default=4000, help="attacked for robust accuracy; 0 leaves it out (default 4000)"
    )
    flags.add_argument("--train-images", type=int, default=3000, help="that the robust network is trained on")
    flags.add_argument("--epochs", type=int, default=3, help="that it is trained for (default 3)")
    return flags.parse_args(argv)


def prepare_timing(name: str, task: Task, runtime: RuntimeConfig) -> Work:
    """One side's attack on the timed batch; it tells in how many threads and in which precision."""
    images, labels = random_batch(task.batch, torch.device(runtime.device))
    attacker = ATTACKERS[name](random_network(task.width), task.steps, runtime)

    def work() -> dict[str, Any]:
        attacker.craft(images, labels)
        return {"threads": torch.get_num_threads(), "precision": attacker.precision}

    return work


def ratios_of(times: dict[str, Measured]) -> dict[str, float]:
    """Their median seconds over ours, in training precision and ("_fp32") in fp32."""
    suffixes = {"": "ours", "_fp32": "ours_fp32"}
    return {
        f"{library}{suffix}": times[library].median / times[own].median
        for suffix, own in suffixes.items()
        for library in LIBRARIES
    }


def measure_accuracy(wanted: argparse.Namespace, settings: dict[str, RuntimeConfig]) -> dict[str, Any]:
    """Robust accuracy in [0, 1] that each side's attack leaves a network, and how far they lie apart, in points."""
    own_process(settings["ours"])
    compute = choose_compute(settings["ours"])
    config = robust_config(wanted)
    model, test = train(config, compute)
    with TemporaryDirectory() as folder:
        subject = Path(folder, "subject.safetensors")
        tensors = {**model.state_dict(), "images": test.images, "labels": test.labels}
        save_file({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, subject)
        survivals = {}
        for name, runtime in settings.items():
            side = Side(name, prepare_attacking, (name, config.model, wanted.steps, runtime, subject))
            with Worker(side, wanted.device) as worker:
                attacked = torch.from_numpy(worker.repeat()[1])
            survivals[name] = judge(model, test, attacked, wanted.steps, exact_fp32(compute))
    robust = {name: _share(survives) for name, survives in survivals.items()}
    expected = survivals["torchattacks"]
    natural = _correct(model, to_pixels(test.images[:]), test.labels, exact_fp32(compute))
    return {
        "accuracy_settings": {"images": len(test), "train_images": wanted.train_images, "epochs": wanted.epochs},
        "natural_accuracy": _share(natural),
        "robust_accuracy": robust,
        "judged_otherwise": {name: int((survives != expected).sum()) for name, survives in survivals.items()},
        "largest_difference_points": 100 * (max(robust.values()) - min(robust.values())),
    }


def robust_config(wanted: argparse.Namespace) -> RunConfig:
    """Adversarial training on drawn shapes, in half a minute, for a network that is partly robust at 8/255."""
    values = {
        "data.num_train": wanted.train_images,
        "data.num_validation": NUM_CLASSES,
        "data.num_test": wanted.images,
        "supervised.epochs": wanted.epochs,
        "attack.epsilon": "2/255",
        "attack.step_size": "1/255",
    }
    return resolve_recipe("tiny", "at", [Override(key, value, "the benchmark") for key, value in values.items()])


def train(config: RunConfig, compute: Compute) -> tuple[Pipeline, Split]:
    """A network trained by the configured method, and the images of its data that it has not seen."""
    data = load_dataset(config.data, compute.device)
    phases = phases_of(config)
    state = begin(config, len(data.class_names), compute)
    session = Session(config, compute, data, state, feature_epochs(phases))
    for phase in phases:
        for _ in phase.play(session):
            pass
    return state.network.with_classifier(ADVERSARIAL).eval(), data.test


def prepare_attacking(name: str, config: ModelConfig, steps: int, runtime: RuntimeConfig, subject: Path) -> Work:
    """One side's attack on the images of a saved network, giving all attacked images as an array."""
    device = torch.device(runtime.device)
    tensors = load_file(subject)
    images, labels = to_pixels(tensors.pop("images")).to(device), tensors.pop("labels").to(device)
    model = build_network(config, NUM_CLASSES, make_generator(CPU, SEED)).with_classifier(ADVERSARIAL)
    model.load_state_dict(tensors)
    attacker = ATTACKERS[name](model, steps, runtime)

    def work() -> Any:
        batches = zip(torch.split(images, ACCURACY_BATCH), torch.split(labels, ACCURACY_BATCH), strict=True)
        attacked = [from_start(attacker.craft, number, *batch) for number, batch in enumerate(batches)]
        return torch.cat(attacked).cpu().numpy()

    return work


def judge(model: Pipeline, test: Split, attacked: Tensor, steps: int, compute: Compute) -> Tensor:
    """Which images (N,) the network still classifies correctly when it sees the attacked ones.

    Raises:
        ClafError: an attacked image is not within epsilon, or not in [0, 1].
    """
    attacked = attacked.to(compute.device)
    require_ball(to_pixels(test.images[:]), attacked, attack_of(steps))
    return _correct(model, attacked, test.labels, compute)


def _correct(model: Pipeline, images: Tensor, labels: Tensor, compute: Compute) -> Tensor:
    return torch.cat([predict(model, batch, compute) for batch in torch.split(images, ACCURACY_BATCH)]) == labels


def _share(yes: Tensor) -> float:
    return float(yes.double().mean())


def _show_times(task: Task, times: dict[str, Measured], device: str) -> None:
    columns = ("side", "seconds", "images/s", "over ours", "over ours_fp32", "precision")
    rows = []
    for name, found in times.items():
        told = found.returned[-1]
        longer = [f"{found.median / times[own].median:.2f}x" for own in ("ours", "ours_fp32")]
        rate = f"{task.batch / found.median:.1f}"
        rows.append((name, f"{found.median:.3f}", rate, *longer, told["precision"]))
    title = f"PGD-{task.steps} on ResNet-18, width {task.width}, batch {task.batch}, {told['threads']} threads"
    show(title, columns, rows, device)


def _show_accuracy(wanted: argparse.Namespace, found: dict[str, Any]) -> None:
    columns = ("side", "robust accuracy", "against torchattacks", "images judged otherwise")
    base = found["robust_accuracy"]["torchattacks"]
    rows = [
        (name, f"{100 * share:.2f} %", f"{100 * (share - base):+.2f} points", str(found["judged_otherwise"][name]))
        for name, share in found["robust_accuracy"].items()
    ]
    natural, apart = 100 * found["natural_accuracy"], found["largest_difference_points"]
    title = (
        f"What PGD-{wanted.steps} leaves of {natural:.1f} % on {wanted.images} unseen shapes, from the same starts: "
        f"{apart:.2f} points apart, at most {BAR_POINTS} are asked for"
    )
    show(title, columns, rows, wanted.device)


if __name__ == "__main__":
    main()
