"""A torchvision ResNet-50 of 1,000 classes at 224 pixels, on a folder of images made here: nothing thinks of CIFAR."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from torchvision import models

from claf_engine.runs import list_checkpoints
from tests.e2e.processes import Nursery, metrics

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

NUM_CLASSES, SIDE = 1000, 224
MODEL = ("--model", "torchvision:resnet50")
SHORT = """
from dataclasses import replace
from fractions import Fraction
from claf_engine.audits import audit
from claf_engine.audits.checks import forward, planted, sweep
quick = audit.BUDGETS["quick"]
small = {"restarts": (1, 2), "noise_draws": 2, "noise_examples": 2, "square_queries": 2, "apgd_steps": 1}
small |= {"steps": (1, 2), "radii": (Fraction(4, 255), Fraction(1)), "num_examples": 1}
audit.budget_of = lambda request, config: replace(quick, **small)
planted.NUM_CORNERS, forward.PASSES, sweep.WHOLE_RANGE_STARTS = 2, 2, 1
"""
"""Every diagnostic of an audit, with next to no attacks."""
TRAINING = (
    *("--preset", "smoke", "--method", "at", "--ui", "plain"),
    *("batch_size=2", "data.num_train=4", "data.num_validation=2", "data.num_test=2", "attack.steps=1"),
    *("supervised.epochs=1", "probe.num_examples=2", "probe.steps=1", "evaluation.steps=1"),
    "evaluation.step_size=8/255",
    *(
        "evaluation.epsilons=['4/255']",
        "probe.epsilons=['4/255']",
        "checkpoint.every_steps=1",
        "runtime.precision=fp32",
    ),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images of every class, all of one colour, and a file of weights."""
    folder = tmp_path_factory.mktemp("large")
    for label in range(NUM_CLASSES):
        colour = (label % 10 * 25, label // 10 % 10 * 25, label // 100 * 25)
        place = folder / "images" / "train" / f"class {label:03}"
        place.mkdir(parents=True)
        Image.new("RGB", (SIDE, SIDE), colour).save(place / "a.png", compress_level=1)
    shutil.copytree(folder / "images" / "train", folder / "images" / "val")
    with torch.random.fork_rng(devices=[]):
        save_file(models.resnet50().state_dict(), folder / "resnet50.safetensors")
    return folder


def told(nursery: Nursery, home: Path, *arguments: str, weights: str = "resnet50", first: str = "") -> dict[str, Any]:
    """What a command says of the model on two test images, in JSON."""
    what = (*MODEL, "--weights", str(home / f"{weights}.safetensors"), "--data", f"folder:{home / 'images'}")
    done = nursery.claf(home, arguments[0], *what, "--num-examples", "2", *arguments[1:], "--json", first=first)
    assert done.returncode in {0, 8}, done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.fixture(scope="module")
def measured(nursery: Nursery, home: Path) -> dict[str, Any]:
    return told(nursery, home, "eval", "--eps", "0", "--eps", "4/255", "--steps", "1")


def test_it_is_attacked_and_measured(measured: dict[str, Any]) -> None:
    zero, four = measured["robust"]
    assert four["robust_accuracy"] <= zero["robust_accuracy"] == measured["natural_accuracy"]
    assert (measured["image_size"], len(measured["classes"])) == ([SIDE, SIDE], NUM_CLASSES)


def test_it_is_audited(nursery: Nursery, home: Path, measured: dict[str, Any]) -> None:
    """Its classifier always says the class of the first image, so that there is something to attack."""
    weights = load_file(home / "resnet50.safetensors")
    weights["fc.weight"] *= 1e-3
    weights["fc.bias"][next(place for place, item in enumerate(measured["classes"]) if item["num_examples"])] = 1
    save_file(weights, home / "constant.safetensors")
    card = told(nursery, home, "audit", "--eps", "4/255", weights="constant", first=SHORT)
    verdicts = {item["name"]: item["verdict"] for item in card["diagnostics"]}
    assert verdicts["epsilon-zero"] == verdicts["distance"] == verdicts["eval-mode"] == "passes"
    assert verdicts["feature-attacks"] == verdicts["refitted-classifiers"] == "not-run"
    assert sum(verdict != "not-run" for verdict in verdicts.values()) >= 12
    assert (card["num_examples"], card["natural"]["accuracy"]) == (1, 1)


def test_it_is_trained_and_goes_on_bit_by_bit(nursery: Nursery, home: Path) -> None:
    settings = [word for text in TRAINING for word in (("--set", text) if "=" in text else (text,))]
    begun = ("train", *MODEL, "--weights", str(home / "resnet50.safetensors"), "--data", f"folder:{home / 'images'}")
    whole = nursery.claf(home, *begun, *settings, "--name", "whole")
    assert whole.returncode == 0, whole.stderr
    command = [word for word in settings if word not in {"--ui", "plain"}]
    assert nursery.claf_until(2, home, *begun, *command, "--name", "killed") == -9
    resumed = nursery.claf(home, "train", "--resume", "killed", "--ui", "plain")
    assert resumed.returncode == 0, resumed.stderr
    straight, killed = (next((home / "runs").glob(f"*-{name}")) for name in ("whole", "killed"))
    assert metrics(killed) == metrics(straight)
    ended = [list_checkpoints(run)[0].info for run in (straight, killed)]
    assert ended[0] is not None
    assert ended[1] is not None
    assert ended[0].weights_sha256 == ended[1].weights_sha256
