"""The command line as a user meets it: real processes, the smoke preset, and every kind of bad input."""

import json
import resource
import shutil
from pathlib import Path

import pytest

from tests.e2e.processes import Nursery, claf

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one finished smoke run, its events, and the seconds of processor time that it took."""
    folder = tmp_path_factory.mktemp("smoke")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = claf(folder, "train", "--preset", "smoke", "--ui", "jsonl", "--set", "runtime.threads=1")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    (folder / "events").write_text(done.stdout)
    (folder / "seconds").write_text(str(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
    return folder


def newest(home: Path) -> Path:
    return max((home / "runs").glob("*/checkpoints/*.safetensors"))


def test_the_smoke_preset_goes_through_all_stages_in_twenty_seconds_of_a_processor(home: Path) -> None:
    events = [json.loads(line) for line in (home / "events").read_text().splitlines()]
    assert [event["name"] for event in events if event["type"] == "PhaseStarted"] == [
        "contrastive",
        "adversarial",
        "linear_evaluation",
        "adversarial_linear_evaluation",
        "test",
    ]
    assert events[-1]["status"] == "finished"
    assert sum(result["selected"] for result in events[-1]["results"]) == 1
    assert float((home / "seconds").read_text()) <= 20


def test_eval_prints_figures_and_epsilon_zero_is_natural_accuracy(nursery: Nursery, home: Path) -> None:
    done = nursery.claf(home, "eval", "latest", "--eps", "0", "--eps", "8/255", "--steps", "2", "--json")
    record = json.loads(done.stdout)
    zero, eight = record["robust"]
    assert zero["robust_accuracy"] == record["natural_accuracy"]
    assert eight["robust_accuracy"] <= record["natural_accuracy"]
    assert (eight["epsilon"], eight["attack"], eight["steps"], eight["space"]) == ("8/255", "pgd", 2, "pixel")


def test_eval_of_the_run_uses_the_result_that_validation_chose(nursery: Nursery, home: Path) -> None:
    results = json.loads((home / "events").read_text().splitlines()[-1])["results"]
    chosen = next(result for result in results if result["selected"])
    record = json.loads(nursery.claf(home, "eval", "smoke", "--steps", "2", "--json").stdout)
    assert record["classifier"] == chosen["classifier"]
    assert record["natural_accuracy"] == chosen["natural"]


def test_eval_in_the_released_codes_space_says_that_its_figures_are_of_no_ball(nursery: Nursery, home: Path) -> None:
    done = nursery.claf(home, "eval", "latest", "--space", "released-code", "--eps", "0", "--steps", "1", "--json")
    (figure,) = json.loads(done.stdout)["robust"]
    assert (figure["space"], figure["is_epsilon_ball"]) == ("released-code", False)
    assert figure["largest_distance"] > 62 / 255


def test_eval_behind_a_defence_is_judged_by_the_worse_attacker(nursery: Nursery, home: Path) -> None:
    arguments = ("eval", "latest", "--defence", "bit-depth:2", "--eps", "8/255", "--steps", "2", "--json")
    done = nursery.claf(home, *arguments, "--min-robust-accuracy", "1")
    oblivious, adaptive = json.loads(done.stdout)["robust"]
    assert (oblivious["knowledge"], adaptive["knowledge"]) == ("oblivious", "adaptive")
    worst = min(oblivious["robust_accuracy"], adaptive["robust_accuracy"])
    assert done.returncode == 6
    assert f"is {worst:.4f}, below the required 1" in done.stderr


def test_a_classifier_that_was_not_trained_yet_is_not_evaluated(nursery: Nursery, home: Path) -> None:
    first = min((home / "runs").glob("*/checkpoints/*.safetensors"))
    done = nursery.claf(home, "eval", str(first), "--classifier", "adversarial")
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "the adversarial classifier of" in done.stderr
    assert "is untrained" in done.stderr


def test_a_checkpoint_shows_its_hash_and_place(nursery: Nursery, home: Path) -> None:
    shown = json.loads(nursery.claf(home, "checkpoint", "show", "latest", "--json").stdout)
    assert len(shown["weights_sha256"]) == 64
    assert {"phase", "step", "metrics"} <= shown.keys()


def test_runs_lists_the_finished_run(nursery: Nursery, home: Path) -> None:
    (run,) = json.loads(nursery.claf(home, "runs", "--json").stdout)
    assert run["status"] == "finished"
    assert run["name"].endswith("-smoke")


def test_a_finished_run_is_not_resumed(nursery: Nursery, home: Path) -> None:
    done = nursery.claf(home, "train", "--resume", "latest")
    assert done.returncode == 3
    assert "is finished" in done.stderr


@pytest.mark.parametrize("damage", ["truncated", "altered"])
def test_a_damaged_checkpoint_is_refused_in_one_sentence(
    nursery: Nursery, home: Path, tmp_path: Path, damage: str
) -> None:
    data = bytearray(newest(home).read_bytes())
    if damage == "truncated":
        del data[-100:]
    else:
        data[-50] ^= 1
    broken = tmp_path / "broken.safetensors"
    broken.write_bytes(data)
    done = nursery.claf(home, "eval", str(broken))
    assert done.returncode == 3
    assert done.stderr.count("\n") == 1
    assert str(broken) in done.stderr.replace("\n", "")


def test_a_pickle_is_refused(nursery: Nursery, home: Path, tmp_path: Path) -> None:
    pickle = tmp_path / "model.pt"
    pickle.write_bytes(b"\x80\x04.")
    done = nursery.claf(home, "eval", str(pickle))
    assert done.returncode == 3
    assert "pickle" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("--data", "folder:/no/such/folder"), 3, "/no/such/folder"),
        (("--device", "cuda"), 5, "--device cpu"),
        (("--preset", "dmeo"), 2, "demo"),
        (("--set", "attack.epsilon=16"), 2, "16/255"),
        (("--set", "attack.stepz=3"), 2, "attack.steps"),
    ],
)
def test_what_cannot_begin_leaves_nothing_behind(
    nursery: Nursery, tmp_path: Path, arguments: tuple[str, ...], code: int, words: str
) -> None:
    done = nursery.claf(tmp_path, "train", "--ui", "plain", *arguments)
    assert done.returncode == code
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "runs").glob("*"))


def test_a_checkpoint_of_other_classes_is_not_evaluated_on_these_images(
    nursery: Nursery, home: Path, tmp_path: Path
) -> None:
    from PIL import Image

    for split in ("train", "test"):
        for name in ("cat", "dog"):
            (tmp_path / split / name).mkdir(parents=True)
            for index in range(4):
                Image.new("RGB", (32, 32), (index * 40, 90, 30)).save(tmp_path / split / name / f"{index}.png")
    done = nursery.claf(home, "eval", "latest", "--data", f"folder:{tmp_path}")
    assert done.returncode == 3
    assert "classes" in done.stderr


def test_an_older_checkpoint_begins_a_new_run_and_leaves_the_old_one_alone(
    nursery: Nursery, home: Path, tmp_path: Path
) -> None:
    shutil.copytree(home / "runs", tmp_path / "runs")
    oldest = min((tmp_path / "runs").glob("*/checkpoints/*.safetensors"))
    before = sorted(path.name for path in oldest.parent.iterdir())
    done = nursery.claf(tmp_path, "train", "--resume", str(oldest), "--ui", "jsonl")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in oldest.parent.iterdir()) == before
    assert len(json.loads(nursery.claf(tmp_path, "runs", "--json").stdout)) == 2
