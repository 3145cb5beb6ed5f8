from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from claf_engine.events import ValueEdited
from claf_engine.reproduce.plan import config_of, configs_of, plan_run, run_name, table_of, was_edited
from claf_engine.reproduce.tables import TABLES
from claf_engine.runs import create_run, list_runs, read_config
from claf_engine.runs.journal import Journal
from claf_engine.runs.trained import trained_part
from claf_engine.terms.errors import ConfigError
from tests.engine.reproduce.conftest import request_of
from tests.engine.tiny import play

pytestmark = pytest.mark.usefixtures("tiny_scale")
NATURAL = TABLES["table1"].rows[0]


def finished_run(root: Path, **changes: Any) -> Path:
    config = config_of(request_of(root), NATURAL, 0).model_copy(update=changes)
    directory = create_run(root, "before", config, [])
    play(directory)
    return directory.path


def test_what_is_missing_is_a_new_run_named_after_its_scale_recipe_and_seed(tmp_path: Path) -> None:
    plan = plan_run(request_of(tmp_path), NATURAL, 3)
    assert (plan.action, plan.name, plan.directory) == ("new", "tiny-natural-seed3", None)
    assert plan.config.seed == 3


def test_the_name_tells_what_an_ablation_changes_and_the_space(tmp_path: Path) -> None:
    request = request_of(tmp_path, "table2", space="released-code")
    assert run_name(request, TABLES["table2"].rows[0], 0) == "tiny-claf-natural-released-code-seed0"


def test_a_finished_run_of_the_same_settings_is_reused(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    plan = plan_run(request_of(tmp_path), NATURAL, 0)
    assert (plan.action, plan.directory, plan.done) == ("reuse", path, 1.0)


def test_other_settings_of_evaluation_threads_and_saving_do_not_matter(tmp_path: Path) -> None:
    config = config_of(request_of(tmp_path), NATURAL, 0)
    other = {
        "evaluation": config.evaluation.model_copy(update={"num_examples": 8}),
        "checkpoint": config.checkpoint.model_copy(update={"keep_last": 2}),
        "runtime": config.runtime.model_copy(update={"log_every": 3}),
    }
    finished_run(tmp_path, **other)
    assert plan_run(request_of(tmp_path), NATURAL, 0).action == "reuse"


@pytest.mark.parametrize("changes", [{"batch_size": 12}, {"seed": 1}, {"method": "at"}])
def test_a_run_of_other_settings_is_not_reused(tmp_path: Path, changes: dict[str, Any]) -> None:
    finished_run(tmp_path, **changes)
    assert plan_run(request_of(tmp_path), NATURAL, 0).action == "new"


def test_a_run_whose_settings_were_edited_to_those_of_a_row_is_not_reused(tmp_path: Path) -> None:
    path = finished_run(tmp_path, batch_size=12)
    file = path / "config.toml"
    file.write_text(file.read_text().replace("batch_size = 12", "batch_size = 8", 1))
    assert read_config(path) == config_of(request_of(tmp_path), NATURAL, 0)
    assert plan_run(request_of(tmp_path), NATURAL, 0).action == "new"


def test_a_run_of_earlier_code_that_keeps_a_relative_folder_is_not_taken_for_one_of_these_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    request = replace(request_of(tmp_path), data="folder:images")
    path = create_run(tmp_path, "before", config_of(request, NATURAL, 0), []).path
    assert plan_run(request, NATURAL, 0).directory == path
    text = (path / "config.toml").read_text()
    (path / "config.toml").write_text(text.replace(f"folder:{tmp_path}/images", "folder:images"))
    assert plan_run(request, NATURAL, 0).action == "new"


def test_the_precision_of_training_does_matter(tmp_path: Path) -> None:
    config = config_of(request_of(tmp_path), NATURAL, 0)
    other = config.model_copy(update={"runtime": config.runtime.model_copy(update={"precision": "bf16"})})
    assert trained_part(config) != trained_part(other)


def test_a_finished_run_without_a_checkpoint_is_not_reused(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    for file in (path / "checkpoints").iterdir():
        file.unlink()
    assert plan_run(request_of(tmp_path), NATURAL, 0).action == "new"


def test_a_run_whose_learning_rate_a_person_changed_is_not_reused(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    assert not was_edited(path)
    journal = Journal(path)
    journal.open()
    journal.append(ValueEdited(1, "learning_rate", 0.1, 0.2))
    journal.close()
    assert plan_run(request_of(tmp_path), NATURAL, 0).action == "new"


def test_an_unfinished_run_is_gone_on_with(tmp_path: Path) -> None:
    directory = create_run(tmp_path, "cut", config_of(request_of(tmp_path), NATURAL, 0), [])
    directory.write_status({"status": "running", "run_fraction": 0.25})
    directory.close()
    plan = plan_run(request_of(tmp_path), NATURAL, 0)
    assert (plan.action, plan.directory, plan.done) == ("resume", directory.path, 0.25)


def test_a_finished_run_is_preferred_to_a_newer_unfinished_one(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    later = create_run(tmp_path, "zzz", config_of(request_of(tmp_path), NATURAL, 0), [])
    later.close()
    assert list_runs(tmp_path)[0].directory == later.path
    assert plan_run(request_of(tmp_path), NATURAL, 0).directory == path


def test_a_damaged_run_is_passed_over(tmp_path: Path) -> None:
    path = finished_run(tmp_path)
    (path / "config.toml").write_text("not = [toml")
    assert plan_run(request_of(tmp_path), NATURAL, 0).action == "new"


def test_another_source_of_images_reaches_the_run_and_the_folder(tmp_path: Path) -> None:
    request = request_of(tmp_path, data="folder:~/my images")
    assert config_of(request, NATURAL, 0).data.source == "folder:~/my images"
    assert request.directory == tmp_path / "reproductions" / "table4-tiny-pixel-folder---my-images"


def test_the_folder_is_named_after_table_scale_and_space(tmp_path: Path) -> None:
    request = request_of(tmp_path, "table1", space="released-code")
    assert request.directory == tmp_path / "reproductions" / "table1-tiny-released-code"


def test_a_source_that_does_not_exist_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--data: data.source: unknown data source 'mnist'"):
        config_of(request_of(tmp_path, data="mnist"), NATURAL, 0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [({"table": "table9"}, "no table 'table9'; use table1"), ({"seeds": 0}, "at least one run")],
)
def test_a_wrong_request_is_a_sentence(tmp_path: Path, changes: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        table_of(request_of(tmp_path, **changes))


def test_a_setting_reaches_every_run_and_names_the_folder(tmp_path: Path) -> None:
    request = request_of(tmp_path, settings=("runtime.threads=1", "batch_size=12"))
    config = config_of(request, NATURAL, 0)
    assert (config.runtime.threads, config.batch_size) == (1, 12)
    other = request_of(tmp_path, settings=("runtime.threads=2", "batch_size=12"))
    assert len({request.directory, other.directory, request_of(tmp_path).directory}) == 3


@pytest.mark.parametrize(
    ("setting", "decided_by"),
    [
        ("seed=3", "--seeds"),
        ("data.source=shapes", "--data"),
        ("attack.space=pixel", "--space"),
        ("method=at", "table"),
    ],
)
def test_a_setting_that_something_else_decides_is_refused(tmp_path: Path, setting: str, decided_by: str) -> None:
    with pytest.raises(ConfigError, match=rf"--set \S+: .*{decided_by} decides it; leave it out"):
        config_of(request_of(tmp_path, settings=(setting,)), NATURAL, 0)


def test_a_setting_that_a_row_is_about_is_refused(tmp_path: Path) -> None:
    request = request_of(tmp_path, "table2", settings=("adversarial.classifier_images=adversarial",))
    with pytest.raises(ConfigError, match="row Natural decides it"):
        config_of(request, TABLES["table2"].rows[0], 0)


def test_equal_compute_decides_the_epochs_and_names_run_and_folder(tmp_path: Path) -> None:
    request = request_of(tmp_path, "table1", compute="equal")
    assert config_of(request, NATURAL, 0).supervised.epochs == 40 // 3
    assert run_name(request, NATURAL, 0) == "tiny-natural-equal-seed0"
    assert request.directory.name == "table1-tiny-pixel-equal"
    with pytest.raises(ConfigError, match="--set supervised.epochs: --compute equal decides it"):
        config_of(replace(request, settings=("supervised.epochs=3",)), NATURAL, 0)


def test_a_run_that_measured_its_channels_is_found_again(tmp_path: Path) -> None:
    request = request_of(tmp_path, settings=("model.mean=[]", "model.std=[]"))
    directory = create_run(tmp_path, "before", config_of(request, NATURAL, 0), [])
    play(directory)
    assert read_config(directory.path).model.mean
    assert plan_run(request, NATURAL, 0).action == "reuse"


def test_a_run_that_was_given_its_channels_is_not_one_that_measures_them(tmp_path: Path) -> None:
    finished_run(tmp_path)
    request = request_of(tmp_path, settings=("model.mean=[]", "model.std=[]"))
    assert plan_run(request, NATURAL, 0).action == "new"


def test_only_the_rows_that_are_asked_for_are_planned_in_the_order_of_the_table(tmp_path: Path) -> None:
    labels = ("claf", "AT")
    request = request_of(tmp_path, "table1", rows=labels)
    assert [row.label for row in table_of(request).rows] == ["AT", "CLAF"]
    whole = configs_of(request_of(tmp_path, "table1"))
    assert configs_of(request) == [whole[2], whole[5]]
    assert request.directory != request_of(tmp_path, "table1").directory
    assert request.columns == request_of(tmp_path, "table1").columns


def test_a_row_that_a_table_does_not_have_is_a_sentence_with_those_that_it_has(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--row 'GAN': table4 has no such row; use Natural, Adversarial"):
        table_of(request_of(tmp_path, "table4", rows=("GAN",)))
