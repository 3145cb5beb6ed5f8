import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from claf_engine.config import RunConfig
from claf_engine.config.presets import parse_override, resolve_config
from claf_engine.evaluation.cards import CARDS, FOLDER, find_card, standing
from claf_engine.runs import list_checkpoints, list_runs, read_config
from claf_engine.runs.foreign import parse_json, parse_toml, read_foreign, read_object, read_toml
from claf_engine.runs.journal import EVENTS, METRICS, Journal, read_events
from claf_engine.runs.lines import LINE_CAP
from claf_engine.runs.plugins import recorded_plugins
from claf_engine.terms.errors import CheckpointError, ClafError, ConfigError, ForeignFileError, MissingFile, RunError
from tests.engine.runs.folders import old_run

DEEP = b"[" * 200_000
HUGE = b'{"epoch": 1' + b"0" * 400 + b"}"
DAMAGED = {
    "empty": b"",
    "deep": DEEP,
    "deep and whole": b"[" * 500 + b"]" * 500,
    "not a number": b'{"epoch": NaN}',
    "infinite": b'{"epoch": -Infinity}',
    "beyond a float": b'{"loss": 1e999}',
    "beyond a count": HUGE,
    "beyond a text": b'{"epoch": 1' + b"0" * 9000 + b"}",
    "half a character": b'{"data": "\\ud800"}',
    "no text": b"\xff\xfe\xfd",
    "a list": b"[1]",
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=6),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
STATUS_KEYS = ("status", "epoch", "phase", "probe", "results", "data", "heartbeat", "run_fraction", "step", "method")


def put(folder: Path, content: bytes, name: str = "file") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    return folder / name


def fifo(path: Path) -> None:
    os.mkfifo(path)


def folder(path: Path) -> None:
    path.mkdir()


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def circle(path: Path) -> None:
    path.symlink_to(path)


STRANGE = pytest.mark.parametrize("make", [fifo, folder, device, circle])


@STRANGE
@pytest.mark.timeout(10)
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "file")
    with pytest.raises(ForeignFileError, match="cannot read .*file: "):
        read_foreign(tmp_path / "file", 100)


@pytest.mark.timeout(10)
def test_a_file_that_becomes_a_pipe_before_it_is_opened_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    regular = os.stat(put(tmp_path, b"x", "regular"))
    fifo(tmp_path / "pipe")
    looked = []
    monkeypatch.setattr("claf_engine.runs.foreign.os.stat", lambda path: looked.append(path) or regular)
    with pytest.raises(ForeignFileError, match="no regular file"):
        read_foreign(tmp_path / "pipe", 100)
    assert looked == [tmp_path / "pipe"]


def test_a_regular_file_and_a_link_to_one_are_read(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(put(tmp_path, b"x"))
    assert read_foreign(tmp_path / "file", 1) == read_foreign(tmp_path / "link", 1) == b"x"


def test_a_file_beyond_its_cap_is_refused_without_being_read_whole(tmp_path: Path) -> None:
    put(tmp_path, b"")
    os.truncate(tmp_path / "file", 2**40)
    with pytest.raises(ForeignFileError, match="larger than 100 bytes"):
        read_foreign(tmp_path / "file", 100)


def test_a_missing_file_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(MissingFile):
        read_foreign(tmp_path / "none" / "file", 100)
    with pytest.raises(MissingFile):
        read_foreign(put(tmp_path, b"") / "below a file", 100)


def test_a_name_that_no_file_can_have_is_refused() -> None:
    with pytest.raises(ForeignFileError, match="give another name"):
        read_foreign(Path("a\0b"), 100)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_damaged_json_is_one_sentence_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ForeignFileError, match=r"file is damaged: .*; remove it or put a whole one there"):
        read_object(put(tmp_path, content), 2**20)


def test_whole_json_is_read(tmp_path: Path) -> None:
    assert read_object(put(tmp_path, b'{"epoch": 1, "loss": -1.5e300}'), 100) == {"epoch": 1, "loss": -1.5e300}


@pytest.mark.parametrize("content", [b"a = nan", b"a = " + b"[" * 5000, b"a = 1" + b"0" * 9000, b"\xff", b"a = 1e999"])
def test_damaged_toml_is_one_sentence_that_names_the_file(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ForeignFileError, match="file is damaged: "):
        read_toml(put(tmp_path, content))


@given(st.binary(max_size=200))
def test_no_bytes_get_anything_but_a_value_error_out_of_the_parsers(data: bytes) -> None:
    for parse in (parse_json, parse_toml):
        try:
            parse(data)
        except ValueError:
            continue


@given(JSON)
def test_what_the_reader_lets_through_can_be_written_again(value: object) -> None:
    try:
        read = parse_json(json.dumps(value))
    except ValueError:
        return
    json.dumps(read, allow_nan=False, ensure_ascii=False).encode("utf-8", "surrogateescape")


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_status_costs_one_row_and_is_said(tmp_path: Path, content: bytes) -> None:
    old_run(tmp_path, "1-whole", status="finished")
    put(old_run(tmp_path, "2-bad"), content, "status.json")
    bad, whole = list_runs(tmp_path)
    assert (whole.status, whole.notice) == ("finished", "")
    assert (bad.status, bad.record) == ("interrupted", {})
    assert "2-bad/status.json is damaged" in bad.notice


@STRANGE
@pytest.mark.timeout(10)
def test_a_status_that_is_no_file_costs_one_row_and_is_said(tmp_path: Path, make: Callable[[Path], None]) -> None:
    old_run(tmp_path, "1-whole", status="finished")
    run = old_run(tmp_path, "2-bad")
    (run / "status.json").unlink()
    make(run / "status.json")
    bad, whole = list_runs(tmp_path)
    assert (whole.status, bad.status) == ("finished", "interrupted")
    assert "2-bad/status.json" in bad.notice


def test_a_status_of_wrong_types_loses_these_fields_and_says_which(tmp_path: Path) -> None:
    probe = {"natural": [1], "robust": []}
    old_run(tmp_path, "1-bad", status="finished", epoch="three", probe=probe, data="shapes", later=[1])
    (run,) = list_runs(tmp_path)
    assert run.record == {"status": "finished", "data": "shapes", "later": [1]}
    assert "passed over epoch, probe of " in run.notice


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(STATUS_KEYS, JSON)))
def test_no_status_gets_an_error_out_of_the_list(tmp_path_factory: pytest.TempPathFactory, record: object) -> None:
    from claf_tui.reports.runs import run_records, runs_table

    root = tmp_path_factory.mktemp("runs")
    put(old_run(root, "1-bad"), json.dumps(record).encode(), "status.json")
    found = list_runs(root)
    runs_table(found)
    json.dumps(run_records(found), allow_nan=False)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_line_of_a_journal_costs_that_line(tmp_path: Path, content: bytes) -> None:
    good = b'{"seq": 0, "type": "Notice", "level": "info", "text": "a"}\n'
    for name in (METRICS, EVENTS):
        put(tmp_path, content + b"\n" + (good if name == EVENTS else b""), name)
    assert [getattr(event, "text", None) for event in read_events(tmp_path)] == ["a"]
    journal = Journal(tmp_path)
    journal.open()
    journal.close()
    assert (journal.num_records, journal.num_damaged) == (1, 2)
    assert (tmp_path / EVENTS).read_bytes() == good


def test_an_endless_line_of_a_journal_costs_that_line(tmp_path: Path) -> None:
    good = b'{"seq": 0, "type": "Notice", "level": "info", "text": "a"}\n'
    put(tmp_path, b'{"seq": 1, "type": "' + b"x" * (3 * LINE_CAP) + b'"}\n' + good, EVENTS)
    assert len(read_events(tmp_path)) == 1


@STRANGE
@pytest.mark.timeout(10)
def test_a_journal_that_is_no_file_is_an_error_of_the_run(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / METRICS)
    with pytest.raises(RunError, match=r"metrics\.jsonl"):
        Journal(tmp_path).open()


@given(JSON, st.sampled_from(["Notice", "StepLogged", "ProbeFinished", "RunStarted", "RunFinished", "Alert", "x"]))
def test_no_record_gets_an_error_out_of_a_journal(
    tmp_path_factory: pytest.TempPathFactory, value: object, kind: str
) -> None:
    record = {"seq": 0, "type": kind, **(value if isinstance(value, dict) else {"step": value, "robust": value})}
    run = tmp_path_factory.mktemp("run")
    put(run, json.dumps(record).encode() + b"\n", EVENTS)
    assert len(read_events(run)) <= 1


@pytest.mark.parametrize("content", [b"seed = [", b"seed = 'x'", b"seed = nan", b"a = " + b"[" * 5000, b"\xff"])
def test_damaged_settings_of_a_run_are_an_error_of_the_run(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(RunError, match=r"config\.toml"):
        read_config(put(tmp_path, content, "config.toml").parent)


SETTINGS = st.sampled_from(["seed", "batch_size", "data.num_train", "attack.epsilon", "attack.steps", "probe.epsilons"])


@given(SETTINGS, st.text(st.characters(exclude_categories=["Cs"])) | JSON.map(str) | st.integers().map(str))
def test_no_settings_get_anything_but_an_error_of_ours_out(
    tmp_path_factory: pytest.TempPathFactory, key: str, value: str
) -> None:
    run = tmp_path_factory.mktemp("run")
    path = put(run, f"{key} = {value}".encode(), "config.toml")
    for read in (
        lambda: read_config(run),
        lambda: resolve_config(file=path),
        lambda: resolve_config(overrides=[parse_override(f"{key}={value}")]),
    ):
        try:
            assert isinstance(read(), RunConfig)
        except ClafError:
            continue


def test_settings_from_the_command_line_that_nest_too_deeply_are_refused() -> None:
    with pytest.raises(ConfigError, match="nested too deeply"):
        parse_override("probe.epsilons=" + "[" * 5000 + "]" * 5000)


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_record_of_plugins_names_none(tmp_path: Path, content: bytes) -> None:
    assert recorded_plugins(put(tmp_path, content, "run.json").parent) == ()


def card(**changes: object) -> bytes:
    return json.dumps({"format": 1, "weights_sha256": "0" * 64, "classifier": "attack", **changes}).encode()


CARD_KEYS = ("epsilons", "space", "num_examples", "budget", "verdict", "date", "attacks", "natural")


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(CARD_KEYS, JSON)))
def test_no_card_gets_an_error_out_of_the_search(tmp_path_factory: pytest.TempPathFactory, fields: dict) -> None:  # type: ignore[type-arg]
    run = tmp_path_factory.mktemp("run")
    name = f"{'0' * 16}-attack-"
    put(run / FOLDER / CARDS, card(**fields), f"{name}a.json")
    put(run / FOLDER / CARDS, card(verdict="passes", epsilons=["8/255"], space="pixel"), f"{name}b.json")
    assert standing(find_card(run, "0" * 64, "attack", "pixel", ["8/255"])) != "unaudited"


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_card_hides_no_other(tmp_path: Path, content: bytes) -> None:
    name = f"{'0' * 16}-attack-"
    put(tmp_path / FOLDER / CARDS, content, f"{name}a.json")
    put(tmp_path / FOLDER / CARDS, card(verdict="fails"), f"{name}b.json")
    assert standing(find_card(tmp_path, "0" * 64, "attack")) == "audit fails"


def checkpoint(folder: Path, **changes: object) -> Path:
    metadata = {
        "claf.run": "1-demo",
        "claf.step": 1,
        "claf.phase": "2",
        "claf.epoch": 1,
        "claf.metrics": {"validation_robust": 0.5},
        "claf.classifier": "attack",
        "claf.weights_sha256": "0",
    }
    written = {f"claf.{key}": value for key, value in changes.items()}
    path = folder / "checkpoints" / "step-000000001.safetensors"
    save_file({}, path, {"claf.format": "1", **{k: json.dumps(v) for k, v in {**metadata, **written}.items()}})
    return path


@pytest.mark.parametrize("step", [-1, 10**400, 1e300, "many", None, [1]])
def test_a_checkpoint_of_no_count_of_steps_costs_one_row(tmp_path: Path, step: object) -> None:
    run = old_run(tmp_path, "1-demo")
    checkpoint(run, step=step)
    (entry,) = list_checkpoints(run)
    assert entry.info is None
    assert "damaged metadata" in entry.error


def test_a_figure_that_is_no_number_is_left_out_of_a_checkpoint(tmp_path: Path) -> None:
    run = old_run(tmp_path, "1-demo")
    checkpoint(run, metrics={"validation_robust": float("nan"), "validation_natural": 0.5})
    (entry,) = list_checkpoints(run)
    assert entry.info is not None
    assert entry.info.metrics == {"validation_natural": 0.5}


METADATA = st.sampled_from(["run", "step", "phase", "epoch", "metrics", "classifier", "weights_sha256", "requested"])


@given(st.dictionaries(METADATA, JSON, max_size=3))
def test_no_metadata_gets_an_error_out_of_the_list_of_checkpoints(
    tmp_path_factory: pytest.TempPathFactory, changes: dict[str, object]
) -> None:
    run = old_run(tmp_path_factory.mktemp("runs"), "1-demo")
    checkpoint(run, **changes)
    assert len(list_checkpoints(run)) == 1


@pytest.mark.timeout(10)
def test_weights_of_others_are_read_from_a_regular_file_only(tmp_path: Path) -> None:
    from claf_engine.evaluation.foreign_weights import read_foreign as read_weights

    fifo(tmp_path / "weights.pt")
    with pytest.raises(CheckpointError, match="no regular file"):
        read_weights(tmp_path / "weights.pt")


@pytest.mark.timeout(10)
def test_a_configuration_without_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="/dev/zero is larger than"):
        resolve_config(file=Path("/dev/zero"))
