import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from benchmarks.attackers import ATTACKERS, LIBRARIES, attack_of, from_start, random_batch, random_network, settled
from benchmarks.attacks import judge, main, ratios_of
from benchmarks.common import Measured
from claf_engine.compute.device import Compute
from claf_engine.config import RuntimeConfig
from claf_engine.data import Split, to_pixels
from claf_engine.models.modes import BATCH_NORMS
from claf_engine.terms.errors import ClafError

# The library is imported inside the side, where this holds: foolbox asks SciPy for a name that it has moved.
pytestmark = pytest.mark.filterwarnings("ignore:Please import `gaussian_filter`:DeprecationWarning")

CPU = torch.device("cpu")
FP32 = Compute(CPU, "fp32", 1)
WIDTH, STEPS, COUNT = 4, 3, 8
PLAIN = RuntimeConfig(device="cpu", precision="fp32", layout="channels_last", threads=1)


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Sides set the threads and seed the default generator, as in the process of their own that they otherwise have."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=()):
        yield
    torch.set_num_threads(threads)


def attacked_by(name: str, seed: int = 1) -> Tensor:
    """In double precision, where rounding gives no gradient another sign: what differs then is the mathematics."""
    craft = ATTACKERS[name](random_network(WIDTH).double(), STEPS, PLAIN).craft
    images, labels = random_batch(COUNT, CPU)
    return from_start(craft, seed, images.double(), labels)


@pytest.mark.parametrize("library", LIBRARIES)
def test_a_library_and_our_engine_craft_the_same_images_from_the_same_start(library: str) -> None:
    ours, theirs = attacked_by("ours_fp32"), attacked_by(library)
    assert torch.allclose(ours, theirs, rtol=0, atol=1e-9)
    assert (ours - random_batch(COUNT, CPU)[0]).abs().mean() > 0.01, "the attack does something"


def test_another_seed_is_another_start() -> None:
    assert ((attacked_by("torchattacks", 1) - attacked_by("torchattacks", 2)).abs() > 1e-3).double().mean() > 0.1


def test_every_side_gets_the_same_network_whose_batch_norms_do_something() -> None:
    one, other = random_network(WIDTH), random_network(WIDTH)
    assert all(torch.equal(first, second) for first, second in zip(one.parameters(), other.parameters(), strict=True))
    for norm in (module for module in one.modules() if isinstance(module, BATCH_NORMS)):
        assert norm.weight.std() > 0.1
        assert norm.running_mean is not None
        assert norm.running_mean.abs().max() > 0.01


def test_what_the_engine_would_choose_is_settled_before_the_sides_begin() -> None:
    found = settled(RuntimeConfig(device="cpu", threads=1))
    assert "auto" not in {found.precision, found.layout}
    assert settled(PLAIN) == PLAIN


def test_ratios_are_their_median_seconds_over_ours() -> None:
    seconds = {"ours": [1.0, 1.0, 9.0], "ours_fp32": [2.0], "torchattacks": [4.0], "foolbox": [6.0, 5.0, 7.0]}
    times = {name: Measured(name, found) for name, found in seconds.items()}
    assert ratios_of(times) == {"torchattacks": 4, "foolbox": 6, "torchattacks_fp32": 2, "foolbox_fp32": 3}


def test_an_attack_that_left_its_ball_is_not_judged() -> None:
    model, (images, labels) = random_network(WIDTH), random_batch(COUNT, CPU)
    test = Split((images * 255).to(torch.uint8), labels)
    pixels = to_pixels(test.images)
    unchanged = judge(model, test, pixels, STEPS, FP32)
    with torch.no_grad():
        assert torch.equal(unchanged, model(pixels).argmax(1) == labels)
    with pytest.raises(ClafError, match="left the ball"):
        judge(model, test, (pixels + 2 * float(attack_of(STEPS).epsilon)).clamp(0, 1), STEPS, FP32)


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_a_tiny_run_writes_every_figure(tmp_path: Path) -> None:
    file = tmp_path / "attacks.json"
    tiny = {"steps": 2, "batch": 4, "width": 4, "images": 300, "train-images": 64, "epochs": 1, "repeats": 2}
    main([*(text for flag, value in tiny.items() for text in (f"--{flag}", str(value))), "--json", str(file)])
    found = json.loads(file.read_text())
    assert set(found["ratios"]) == {"torchattacks", "foolbox", "torchattacks_fp32", "foolbox_fp32"}
    assert min(found["ratios"].values()) > 0
    assert set(found["sides"]) == set(found["robust_accuracy"]) == set(ATTACKERS)
    assert all(len(side["seconds"]) == 2 and min(side["seconds"]) > 0 for side in found["sides"].values())
    assert len({side["threads"] for side in found["sides"].values()}) == 1
    assert 0 < found["natural_accuracy"] <= 1
    assert found["largest_difference_points"] <= 2


@pytest.mark.benchmark
@pytest.mark.timeout(300)
def test_without_images_robust_accuracy_is_left_out(tmp_path: Path) -> None:
    file = tmp_path / "attacks.json"
    main(["--steps=1", "--batch=2", "--width=2", "--images=0", "--repeats=1", f"--json={file}"])
    assert "robust_accuracy" not in json.loads(file.read_text())
