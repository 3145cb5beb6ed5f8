"""The page of a hub: metadata that a hub reads, figures that are honest, lines that load the network."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from huggingface_hub import ModelCard

from claf_engine.evaluation.cards import card_folder, write_card
from claf_engine.evaluation.export_weights import ExportRequest, export_checkpoint
from claf_engine.evaluation.hub_readme import published_card, snippet
from claf_engine.evaluation.measured_card import evaluation_card
from claf_engine.runs.header import read_info
from tests.engine.networks import checkpoint_of, logits, random_images, trained

FIGURE = {
    "attack": "pgd",
    "epsilon": "8/255",
    "space": "pixel",
    "steps": 10,
    "step_size": "2/255",
    "restarts": 1,
    "norm": "linf",
    "precision": "fp32",
    "robust_accuracy": 0.25,
    "largest_distance": 8 / 255,
    "mean_distance": 8 / 255,
    "defence": "none",
    "knowledge": "",
    "decides": "last",
}


def carded(checkpoint: Path, **changes: Any) -> Path:
    """Put a card beside a checkpoint."""
    info = read_info(checkpoint)
    about = {"run": info.run, "method": "natural", "checkpoint": checkpoint.name, "classifier": "natural"}
    about |= {"weights_sha256": info.weights_sha256, "data": "shapes", "seed": 0, "device": "cpu"}
    write_card(
        {**evaluation_card(0.5, [FIGURE], 20, about), **changes}, card_folder(checkpoint, "natural-evaluation-1")
    )
    return checkpoint


def page(checkpoint: Path, folder: Path, **options: Any) -> str:
    export_checkpoint(ExportRequest(checkpoint, folder, format="hub", **options))
    return (folder / "README.md").read_text()


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return checkpoint_of(tmp_path, architecture="preact-resnet18", width=8)


def test_the_metadata_are_read_by_the_hub_s_own_client(checkpoint: Path, tmp_path: Path) -> None:
    card = ModelCard(page(carded(checkpoint), tmp_path / "out", names="timm"))
    assert (card.data.library_name, card.data.pipeline_tag) == ("timm", "image-classification")
    assert "adversarial-robustness" in card.data.tags
    natural, robust = card.data.eval_results
    assert (natural.metric_name, natural.metric_value) == ("natural accuracy", 0.5)
    assert robust.metric_name == "robust accuracy, linf 8/255, an upper bound under pgd-10 at 8/255"
    assert (robust.metric_value, robust.dataset_name) == (0.25, "shapes")
    assert card.text.lstrip().startswith("# Robustness card: ")


@pytest.mark.parametrize(
    "changes", [{"verdict": "fails"}, {"worst_case": {"is_epsilon_ball": False, "accuracy": 0.9, "norm": "linf"}}]
)
def test_a_robust_accuracy_that_is_none_is_no_metric(checkpoint: Path, tmp_path: Path, changes: dict[str, Any]) -> None:
    whole = {**FIGURE, "num_attacks": 1, "is_per_example": True, "is_epsilon_ball": True, "interval": [0.1, 0.9]}
    worst = {**whole, "accuracy": 0.25, **changes.get("worst_case", {})}
    text = page(carded(checkpoint, **{**changes, "worst_case": worst}), tmp_path / "out")
    metrics = yaml.safe_load(text.split("---")[1])["model-index"][0]["results"][0]["metrics"]
    assert [metric["name"] for metric in metrics] == ["natural accuracy"]


def test_without_a_card_no_figure_is_claimed(checkpoint: Path, tmp_path: Path) -> None:
    text = page(checkpoint, tmp_path / "out")
    assert "model-index" not in yaml.safe_load(text.split("---")[1])
    assert "Nothing is known of its robustness" in text
    assert "license" not in text


def test_the_lines_of_the_page_load_the_network(
    checkpoint: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page(checkpoint, tmp_path / "out", names="timm")
    monkeypatch.chdir(tmp_path / "out")
    found: dict[str, Any] = {}
    exec(text.split("```python\n")[1].split("```")[0], found)
    torch.testing.assert_close(
        logits(found["model"], random_images()), logits(trained(checkpoint), random_images()), rtol=1e-5, atol=1e-5
    )


def test_a_network_that_no_library_has_is_imported(checkpoint: Path, tmp_path: Path) -> None:
    assert "    claf-tui checkpoint import FOLDER" in page(checkpoint, tmp_path / "out", names="kuangliu")


def test_lines_without_a_stem_for_small_images_are_shorter() -> None:
    record = {"names": "torchvision", "architecture": "resnet18", "stem": "imagenet"}
    assert "conv1" not in snippet(record)
    assert "conv1" in snippet({**record, "stem": "cifar"})


def test_a_published_card_names_no_place_of_this_machine() -> None:
    card = {
        "data": "folder:/home/x/animals",
        "command": "claf-tui eval /home/x",
        "notices": ["no train in /home/x/animals"],
    }
    shown = json.dumps(published_card(card, ("folder:/home/x/animals", "shapes")))
    assert "/home" not in shown
    assert '"folder:animals"' in shown


@pytest.mark.parametrize("source", ["folder:/animals", "folder:animals", "folder:~/animals", "shapes"])
def test_a_source_without_a_folder_above_it_spoils_nothing_else(source: str) -> None:
    card = published_card({"data": source, "epsilon": "8/255"}, (source,))
    assert card == {"data": "shapes" if source == "shapes" else "folder:animals", "epsilon": "8/255"}


def test_hostile_names_stay_text(tmp_path: Path) -> None:
    names = ("---\nlicense: mit", '"]}', "<script>", "é \U0001f600")
    text = page(checkpoint_of(tmp_path, classes=names, width=2, blocks=(1,)), tmp_path / "out")
    assert set(yaml.safe_load(text.split("---\n")[1])) == {"library_name", "pipeline_tag", "tags"}
    assert "<script>" not in text
    assert "\nlicense" not in text
