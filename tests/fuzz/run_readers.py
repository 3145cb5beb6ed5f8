"""Every function that reads a file of a run, a configuration or weights, with a whole file of its kind."""

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import pytest
import torch
from hypothesis import strategies as st
from safetensors.torch import load, save

from claf_engine import events as ev
from claf_engine.accuracy.autoattack_state import load_survivors, save_survivors
from claf_engine.audits.store import Store
from claf_engine.config import DataConfig
from claf_engine.config.presets import resolve_config
from claf_engine.evaluation.cards import card_folder, find_card, standing, standing_of_run, write_card
from claf_engine.evaluation.foreign_weights import convert, read_foreign
from claf_engine.events.control import Control
from claf_engine.models.hashing import hash_tensors
from claf_engine.reproduce.choosing import candidates_of
from claf_engine.reproduce.measuring import Measurer
from claf_engine.reproduce.stored import packed
from claf_engine.reproduce.tables import TABLES, TWO_RADII
from claf_engine.runs import list_checkpoints, list_runs, open_run, read_config
from claf_engine.runs.header import read_info
from claf_engine.runs.journal import Journal, count_records, read_events
from claf_engine.runs.listing import holder
from claf_engine.runs.plugins import plugin_changes, recorded_plugins
from claf_engine.runs.tensor_statistics import tensor_statistics
from claf_engine.training.checkpoint import load_trained_network
from claf_engine.training.methods import phases_of
from claf_engine.training.run import run as run_in
from claf_tui.console import follower
from claf_tui.reports.runs import checkpoint_record, checkpoint_tables, run_records, runs_table
from claf_tui.state.album import Album, Page
from claf_tui.widgets.embedding_panel import embedding_lines
from claf_tui.widgets.examples_bar import bar_lines
from claf_tui.widgets.examples_panel import example_lines, layout_of
from tests.engine.accuracy.test_autoattack_state import some
from tests.engine.audits.test_store import DIAGNOSTIC, OUTCOME
from tests.engine.evaluation.test_cards import SHA, card
from tests.engine.resnets import weights
from tests.engine.tiny import use_tiny_data
from tests.fuzz.damage import json_text, restructured
from tests.fuzz.reader import Reader, any_json, any_lines, any_toml


def sealed(whole: bytes) -> st.SearchStrategy[bytes]:
    """Checkpoints that say something else of themselves and are hashed as if it were so."""
    claims = {
        key: json.loads(value)
        for key, value in metadata_of(whole).items()
        if key.startswith("claf.") and "sha" not in key
    }

    def seal(changed: bytes) -> bytes:
        try:
            claimed: dict[str, object] = {str(key): value for key, value in json.loads(changed).items()}
            return resealed(whole, claimed, gone=claims.keys() - claimed.keys())
        except (ValueError, AttributeError, RecursionError):
            return changed

    return restructured(claims, json_text).map(seal)


def resealed(whole: bytes, claims: Mapping[str, object], gone: Collection[str] = ()) -> bytes:
    """A checkpoint that claims something else, and no more what is gone, hashed as if it were so."""
    tensors, said = load(whole), metadata_of(whole) | {key: json.dumps(value) for key, value in claims.items()}
    said = {key: value for key, value in said.items() if key not in gone and key != "claf.sha256"}
    plain = json.dumps(sorted(said.items())).encode()
    digest = hashlib.sha256(hash_tensors(tensors).encode() + plain).hexdigest()
    return save(tensors, {**said, "claf.sha256": json.dumps(digest)})


def metadata_of(data: bytes) -> dict[str, str]:
    """The metadata of a safetensors file."""
    size = int.from_bytes(data[:8], "little")
    found: dict[str, str] = json.loads(data[8 : 8 + size])["__metadata__"]
    return found


def of_run(name: str) -> Callable[[Path], Path]:
    """A file that every run has."""
    return lambda run: run / name


def newest(run: Path) -> Path:
    """The newest checkpoint of the run."""
    return list_checkpoints(run)[0].path


def read_status(run: Path, _: Path) -> bool:
    """As `claf-tui runs` does."""
    found = list_runs(run.parent)
    runs_table(found)
    json.dumps(run_records(found), allow_nan=False)
    standing_of_run(run, found[0].record)
    return not found[0].notice and found[0].status == "finished"


def make_plugins(run: Path) -> Path:
    """A record of a run that a plugin was there for."""
    file = run / "run.json"
    plugin = {"file": "mine.py", "sha256": SHA, "registers": ["method mine"]}
    file.write_text(json.dumps({**json.loads(file.read_text()), "plugins": [plugin]}))
    return file


def read_plugins(run: Path, _: Path) -> bool:
    """As a run that is listed and gone on with does."""
    list_runs(run.parent)
    plugin_changes(run)
    return recorded_plugins(run) != ()


def read_records(run: Path, _: Path) -> bool:
    """As whoever shows a run does."""
    count_records(run)
    return bool(read_events(run))


def repair_records(run: Path, _: Path) -> bool:
    """As a run that is gone on with does."""
    journal = Journal(run)
    try:
        journal.open(keep=5)
    finally:
        journal.close()
    return journal.num_damaged == 0


def follow(run: Path, _: Path) -> bool:
    """As `claf-tui watch` does of a run whose process has left."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(follower, "SILENCE_SECONDS", -1.0)
        found = list(follower.Follower(run, poll_seconds=0)(Control()))
    return len(found) > 3


def make_card(run: Path) -> Path:
    """A card of the run, and the place of the copy that is found."""
    write_card(card(), card_folder(newest(run), "audit"))
    (copy,) = (run / "audit" / "cards").iterdir()
    return copy


def read_card(run: Path, _: Path) -> bool:
    """As whoever shows a figure does."""
    return standing(find_card(run, SHA, "natural", "pixel", ["8/255"])) == "audit passes"


def make_measurement(run: Path) -> Path:
    """A measurement that a reproduction has made."""
    subject, column = candidates_of(run, TABLES["table4"].rows[0])[0], TWO_RADII[0]
    figure = {"epsilon": "8/255", "accuracy": 0.5, "attack": "pgd", "steps": 10, "step_size": "2/255", "restarts": 1}
    more = {"num_examples": 8, "space": "pixel", "precision": "fp32", "seed": 0}
    half = packed(torch.arange(8) < 4)
    told = {"natural": 0.5, "robust": {**figure, **more}, "right": half, "survivors": half}
    about = {"data": "tiny", "device": "cpu", "seconds": 1.0, "versions": {"torch": "2"}, "notices": []}
    file = Measurer(run)._file(subject, DataConfig(), column)
    file.parent.mkdir()
    file.write_text(json.dumps({**told, **about}))
    return file


def read_measurement(run: Path, _: Path) -> bool:
    """As a reproduction that goes on does."""
    subject = candidates_of(run, TABLES["table4"].rows[0])[0]
    return Measurer(run).missing(subject, DataConfig(), TWO_RADII) == TWO_RADII[1:]


def make_audit(run: Path) -> Path:
    """What an audit has done so far."""
    store = Store(run / "audit" / "x" / "state.json", "key")
    store.keep_outcome(OUTCOME)
    store.keep_diagnostic(DIAGNOSTIC)
    return run / "audit" / "x" / "state.json"


def make_survivors(run: Path) -> Path:
    """What AutoAttack has done so far."""
    save_survivors(run / "audit" / "autoattack.json", some())
    return run / "audit" / "autoattack.json"


def make_settings(run: Path) -> Path:
    """A configuration of a user's."""
    file = run / "mine.toml"
    file.write_text(
        'preset = "smoke"\nseed = 3\n[attack]\nepsilon = "4/255"\nsteps = 3\n[probe]\nepsilons = ["0", "8/255"]\n'
    )
    return file


def read_header(run: Path, file: Path) -> bool:
    """As the browser of checkpoints does."""
    entries = list_checkpoints(run)
    info = read_info(file)
    checkpoint_tables(info, ("last",))
    json.dumps(checkpoint_record(info, ("last",)), allow_nan=False)
    for tensor in info.tensors[::5]:
        tensor_statistics(file, tensor.name)
    return all(entry.info for entry in entries)


def measure_checkpoint(_: Path, file: Path) -> bool:
    """As whoever measures a checkpoint does."""
    info, config, network = load_trained_network(file)
    phases_of(config)
    return network.state_dict() != {} and info.step > 0


def make_unfinished(run: Path) -> Path:
    """The only checkpoint of a run that was left in the middle."""
    newest(run).unlink()
    (run / "status.json").write_text(json.dumps({"status": "stopped"}))
    return newest(run)


def go_on_from(run: Path, _: Path) -> bool:
    """As a run that is gone on with does, up to its first step."""
    with pytest.MonkeyPatch.context() as patch:
        use_tiny_data(patch)
        directory = open_run(run)
        try:
            return any(isinstance(event, ev.StepLogged) for event in run_in(directory, Control()))
        finally:
            directory.close()


def newest_examples(run: Path) -> Path:
    """What the newest probe of the run kept."""
    return max((run / "examples").glob("step-*"))


def show_examples(run: Path, _: Path) -> bool:
    """As the screen of adversarial examples does, from the album to the drawing."""
    album = Album(run, ("a", "b", "c", "d"))
    album.look()
    page = album.page(None)
    if not isinstance(page, Page):
        return False
    assert embedding_lines(page, 40, 20)
    assert example_lines(page, range(len(page.clean.pictures)), layout_of(page, 80, 24), 16, 80)
    return all("\x1b" not in line.plain for line in bar_lines(page, "run", 200))


def make_weights(run: Path) -> Path:
    """Weights as others save them."""
    torch.save(weights(num_classes=2), run / "model.pt")  # noqa: TID251 (what is tested is reading such files)
    return run / "model.pt"


def make_old_weights(run: Path) -> Path:
    """The same in the format before zip."""
    few = {name: tensor for name, tensor in weights(num_classes=2).items() if "layer" not in name}
    torch.save(few, run / "model.pt", _use_new_zipfile_serialization=False)  # noqa: TID251 (as above)
    return run / "model.pt"


def read_weights(_: Path, file: Path) -> bool:
    """As `claf-tui checkpoint import` does."""
    return convert(read_foreign(file), "resnet18", file).num_classes == 2


def read_old_weights(_: Path, file: Path) -> bool:
    """Of a part of a network."""
    return "conv1.weight" in read_foreign(file).tensors


RUN_READERS: dict[str, Reader] = {
    "status.json": Reader(of_run("status.json"), read_status, any_json),
    "run.json, its plugins and its age": Reader(make_plugins, read_plugins, any_json),
    "holder.json": Reader(of_run("holder.json"), lambda run, _: "?" not in str(holder(run)), any_json),
    "events.jsonl": Reader(of_run("events.jsonl"), read_records, any_lines),
    "metrics.jsonl": Reader(of_run("metrics.jsonl"), read_records, any_lines),
    "events.jsonl, followed": Reader(of_run("events.jsonl"), follow, any_lines),
    "events.jsonl, gone on with": Reader(of_run("events.jsonl"), repair_records, any_lines, writes=True),
    "config.toml of a run": Reader(of_run("config.toml"), lambda run, _: read_config(run), any_toml),
    "configuration of a user": Reader(make_settings, lambda _, file: resolve_config(file=file), any_toml),
    "card": Reader(make_card, read_card, any_json),
    "measurement": Reader(make_measurement, read_measurement, any_json),
    "state of an audit": Reader(make_audit, lambda _, file: Store(file, "key").diagnostics, any_json),
    "state of AutoAttack": Reader(make_survivors, lambda _, file: load_survivors(file, "key", 5), any_json),
    "checkpoint: header and statistics": Reader(newest, read_header),
    "checkpoint: whole": Reader(newest, measure_checkpoint),
    "checkpoint: with other claims, hashed anew, measured": Reader(newest, measure_checkpoint, sealed),
    "checkpoint: with other claims, hashed anew, gone on with": Reader(
        make_unfinished, go_on_from, sealed, writes=True
    ),
    "adversarial examples: clean images": Reader(lambda run: run / "examples" / "clean.safetensors", show_examples),
    "adversarial examples: a probe": Reader(newest_examples, show_examples),
    "foreign weights": Reader(make_weights, read_weights),
    "foreign weights of before zip": Reader(make_old_weights, read_old_weights),
}
