import csv
import dataclasses
import json
from pathlib import Path

import pytest
import torch

from claf_engine.events import RobustFigure
from claf_engine.reproduce.board import Board
from claf_engine.reproduce.lines import SeedResult, without_folders
from claf_engine.reproduce.markdown import as_markdown
from claf_engine.reproduce.measuring import Measurement, Subject
from claf_engine.reproduce.report import machine, record, write_report
from claf_engine.reproduce.stored import packed
from claf_engine.reproduce.tables import TABLES
from claf_engine.terms.errors import RunError
from claf_engine.terms.names import SpaceName
from tests.engine.reproduce.conftest import request_of
from tests.engine.tiny import tiny_config


def measurement(natural: float, robust: float, space: SpaceName = "pixel") -> Measurement:
    figure = RobustFigure(
        "8/255", robust, "pgd", 10, "2/255", 1, 500, space=space, largest_distance=0.5, mean_distance=0.25
    )
    subject = Subject(Path("/runs/x/checkpoints/step-000000009.safetensors"), "natural", "ab" * 32, "last: because")
    right, survivors = (packed(torch.arange(500) < 500 * share) for share in (natural, robust))
    return Measurement(natural, figure, subject, "shapes", "cpu", 1.5, {"torch": "2.14"}, right, survivors)


def filled_board(root: Path, space: SpaceName = "pixel") -> Board:
    """Table 4: its first row measured with two seeds, its second one failed."""
    board = Board(
        request_of(root, space=space, seeds=2, autoattack=0),
        TABLES["table4"],
        [tiny_config(method="natural", supervised__epochs=14)] * 2,
    )
    first, second = board.lines
    for seed, natural in enumerate((0.9, 0.94)):
        result = SeedResult(
            seed, root / f"run{seed}", {0: measurement(natural, 0.5, space), 1: measurement(natural, 0.25)}
        )
        first.seeds.append(result)
    first.status, first.seconds = "finished", 12.34
    second.status, second.reason = "failed", "training | diverged <b>"
    return board


def test_the_record_has_our_means_the_paper_s_figures_and_the_differences_in_points(tmp_path: Path) -> None:
    row = record(filled_board(tmp_path))["rows"][0]
    assert (row["method"], row["label"], row["run"], row["status"]) == ("natural", "Natural", "run0", "finished")
    assert row["natural_accuracy"] == pytest.approx(0.92)
    assert [figure["robust_accuracy"] for figure in row["robust"]] == [0.5, 0.25, None, None]
    assert row["paper"]["natural_accuracy"] == 0.924
    assert row["paper"]["robust"] == [0.604, 0.483, None, None]
    assert row["difference_points"] == {"natural": -0.4, "robust": [-10.4, -23.3, None, None]}
    assert row["spread"] == pytest.approx(0.04)
    assert (row["units_per_image"], row["epochs"]) == (42, {"supervised": 14})


def test_the_report_says_which_figures_cannot_be_right(tmp_path: Path) -> None:
    board, notice = filled_board(tmp_path), "from 16/255 on the attack may be too weak"
    of_images = "3 files of test/ were passed over"
    assert "cannot say" not in as_markdown(board, machine())
    measured = board.lines[0].seeds[0].measurements
    robust = dataclasses.replace(measured[0].robust, notice=notice)
    measured[0] = dataclasses.replace(measured[0], robust=robust, notices=(of_images,))
    assert f"- {notice}\n" in as_markdown(board, machine())
    assert record(board)["rows"][0]["runs"][0]["robust"][0]["notice"] == notice
    assert f"- {of_images}\n" in as_markdown(board, machine())
    assert board.event(None).rows[0].notices == (notice, of_images)


def test_the_record_says_where_every_figure_is_from(tmp_path: Path) -> None:
    whole = record(filled_board(tmp_path))
    seed = whole["rows"][0]["runs"][0]
    assert (seed["checkpoint"], seed["classifier"]) == ("step-000000009.safetensors", "natural")
    assert (seed["weights_sha256"], seed["device"], seed["data"]) == ("ab" * 32, "cpu", "shapes")
    figure = seed["robust"][0]
    assert (figure["attack"], figure["steps"], figure["step_size"], figure["restarts"]) == ("pgd", 10, "2/255", 1)
    assert (figure["precision"], figure["seed"], figure["num_examples"]) == ("fp32", 0, 500)
    assert whole["machine"] == machine()
    assert "torch" in whole["versions"]


def test_a_row_that_failed_has_no_figures_and_its_reason(tmp_path: Path) -> None:
    row = record(filled_board(tmp_path))["rows"][1]
    assert (row["natural_accuracy"], row["run"], row["reason"]) == (None, None, "training | diverged <b>")
    assert [figure["robust_accuracy"] for figure in row["robust"]] == [None] * 4
    assert row["difference_points"] == {"natural": None, "robust": [None] * 4}


def test_the_four_files_are_written_and_json_is_the_record(tmp_path: Path) -> None:
    board = filled_board(tmp_path)
    board.request.directory.mkdir(parents=True)
    write_report(board)
    names = {path.name for path in board.request.directory.iterdir()}
    assert names == {f"reproduction.{suffix}" for suffix in ("md", "csv", "json", "svg")}
    assert json.loads((board.request.directory / "reproduction.json").read_text()) == record(board)


def test_the_csv_has_a_line_for_every_row_and_column(tmp_path: Path) -> None:
    board = filled_board(tmp_path)
    board.request.directory.mkdir(parents=True)
    write_report(board)
    with (board.request.directory / "reproduction.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert [line["column"] for line in lines[:3]] == ["natural", "PGD-10 at 8/255", "PGD-10 at 16/255"]
    assert (lines[1]["paper"], lines[1]["ours"], lines[1]["difference_points"]) == ("0.604", "0.5", "-10.4")
    assert (len(lines), lines[7]["ours"], lines[7]["status"]) == (10, "", "failed")


def test_the_markdown_sets_paper_and_ours_side_by_side(tmp_path: Path) -> None:
    text = as_markdown(filled_board(tmp_path), machine())
    ours = "92.4 | **92.0** ± 2.4 | -0.4 | 60.4 | **50.0** ± 4.4 | -10.4 | 48.3 | **25.0** ± 3.8 | -23.3"
    assert f"| Natural | {ours} | – | – | 4.0 | 42 | – | finished |" in text
    assert "| Adversarial | 81.9 | – | – | 50.7 | – | – | 36.5 | – | – | – | – | – | 42 | – | failed |" in text


def test_the_markdown_tells_provenance_and_failures_without_markup_of_others(tmp_path: Path) -> None:
    text = as_markdown(filled_board(tmp_path), machine())
    assert "last: because" in text
    assert "mean 63.8/255, at most 127.5/255" in text
    assert "abababababab" in text
    assert "- Adversarial: training \ufffd diverged \ufffdb\ufffd" in text


def test_figures_of_no_epsilon_ball_are_labelled(tmp_path: Path) -> None:
    board = filled_board(tmp_path, "released-code")
    assert "not** accuracy in an epsilon-ball" in as_markdown(board, machine())
    assert not record(board)["is_epsilon_ball"]
    assert "not** accuracy" not in as_markdown(filled_board(tmp_path), machine())


def test_a_learning_rate_that_a_person_changed_is_told(tmp_path: Path) -> None:
    board = filled_board(tmp_path)
    board.lines[0].seeds[0] = dataclasses.replace(board.lines[0].seeds[0], was_edited=True)
    assert "run0 (learning rate edited)" in as_markdown(board, machine())
    assert record(board)["rows"][0]["runs"][0]["learning_rate_was_edited"]


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="cannot write .*reproduction.json"):
        write_report(filled_board(tmp_path))


def test_a_mean_over_fewer_seeds_than_asked_for_says_so(tmp_path: Path) -> None:
    board = filled_board(tmp_path)
    assert "2 of" not in as_markdown(board, machine())
    del board.lines[0].seeds[1]
    assert "| finished, 1 of 2 seeds |" in as_markdown(board, machine())


def test_the_spread_and_the_interval_of_every_figure_are_told(tmp_path: Path) -> None:
    row = record(filled_board(tmp_path))["rows"][0]
    low, high = row["natural_interval"]
    assert low < 0.92 < high
    assert row["robust"][1]["interval"] == pytest.approx([0.2140, 0.2898], abs=1e-3)
    assert row["robust"][2]["interval"] is None
    assert len(row["runs"][0]["robust"][0]["outcomes_sha256"]) == 64


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("folder:/home/someone/cifar10-jpeg", "folder:cifar10-jpeg"),
        ("/home/someone/my_data.py:images", "my_data.py:images"),
        ("shapes", "shapes"),
        ("torchvision:CIFAR100", "torchvision:CIFAR100"),
    ],
)
def test_a_source_is_told_without_folders_of_this_machine(source: str, name: str) -> None:
    assert without_folders(source) == name


def test_the_machine_names_its_accelerators(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claf_engine.reproduce.report.accelerators", list)
    plain = machine()
    assert plain.endswith(" cores")
    monkeypatch.setattr("claf_engine.reproduce.report.accelerators", lambda: ["cuda:0 (a GPU)"])
    assert machine() == f"{plain}, cuda:0 (a GPU)"
