import errno
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from claf_engine.events.ticks import Boundary
from claf_engine.models.hashing import hash_tensors
from claf_engine.models.network import ATTACK_CLASSIFIER, NATURAL
from claf_engine.runs import to_plain
from claf_engine.runs.header import read_info
from claf_engine.terms.errors import CheckpointError, NonFiniteLoss
from claf_engine.training.checkpoint import (
    Description,
    checkpoint_path,
    load_checkpoint,
    load_optimizer,
    load_trained_network,
    restore_state,
    save_checkpoint,
    state_tensors,
    weights_sha256,
)
from claf_engine.training.phases.contrastive import contrastive
from claf_engine.training.session import Session
from claf_engine.training.state import FEATURES, TrainState
from tests.engine.tiny import FP32, state_sha256, tiny_config, tiny_session

CONFIG = tiny_config()
DESCRIPTION = Description(
    run="20260102-030405-tiny",
    config=to_plain(CONFIG),
    phase="1 · supervised contrastive",
    metrics={"validation_natural": 0.75, "validation_robust": 1 / 3},
    classifier=ATTACK_CLASSIFIER,
    class_names=("a", "b", "c", "d"),
    num_records=17,
    compute={"device": "cpu", "precision": "fp32", "threads": 1},
    versions={"torch": "2"},
)


def busy_session() -> Session:
    """In the middle of a sweep, with SGD that has momentum, Adam that has moments, and a ledger that is full."""
    session = tiny_session(CONFIG)
    for _ in zip(range(5), contrastive(session), strict=False):
        pass
    for _ in range(2):
        loss = sum(
            parameter.square().sum() for parameter in session.state.network.classifiers[ATTACK_CLASSIFIER].parameters()
        )
        assert isinstance(loss, torch.Tensor)
        session.step_optimizer(ATTACK_CLASSIFIER, loss, 0, 10)
    ledger = session.state.ledger
    ledger.elapsed, ledger.phase_elapsed, ledger.done = 0.1 + 0.2, {"0": 1 / 3}, {"0.contrastive.encoder": 4}
    ledger.learning_rate_factor, ledger.accuracy_before_retraining = 0.7, 0.25
    ledger.edits = {"probe.every_epochs": 3}
    ledger.validation = {"attack": {"natural": 0.1, "robust": 1 / 7}}
    return session


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The bytes of a whole checkpoint."""
    path = tmp_path_factory.mktemp("checkpoint") / "x.safetensors"
    save_checkpoint(path, busy_session().state, DESCRIPTION)
    return path.read_bytes()


@pytest.fixture
def path(tmp_path: Path, data: bytes) -> Path:
    """A whole checkpoint."""
    file = tmp_path / "step-000000004.safetensors"
    file.write_bytes(data)
    return file


def restored(path: Path, **changes: Any) -> TrainState:
    return restore_state(tiny_config(**changes), 4, FP32, path)


def header_end(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def test_names_of_checkpoints_sort_by_step(tmp_path: Path) -> None:
    paths = [checkpoint_path(tmp_path, step) for step in (9, 10, 123_456)]
    assert sorted(paths) == paths


def test_a_restored_state_is_the_saved_one_to_the_bit(path: Path) -> None:
    assert state_sha256(restored(path)) == state_sha256(busy_session().state)


@pytest.mark.parametrize(
    "name",
    [
        "network.encoder.stem.weight",
        "network.encoder.norm.running_var",
        "network.encoder.norm.num_batches_tracked",
        "network.projection_head.layers.0.weight",
        "network.classifiers.adversarial.bias",
        "optimizer.features.0.momentum_buffer",
        "optimizer.attack.0.exp_avg_sq",
        "optimizer.attack.1.step",
        "generator.order",
        "generator.views",
        "generator.attack",
        "generator.init",
        "order",
        "loss_sum",
    ],
)
def test_a_tensor_is_restored_to_the_bit(path: Path, name: str) -> None:
    saved, now = state_tensors(busy_session().state)[name], state_tensors(restored(path))[name]
    assert now.dtype == saved.dtype
    assert torch.equal(now, saved)


def test_position_and_ledger_are_restored(path: Path) -> None:
    saved, now = busy_session().state, restored(path)
    assert (now.cursor, now.ledger, now.loss_count) == (saved.cursor, saved.ledger, saved.loss_count)


@pytest.mark.parametrize("name", [FEATURES, ATTACK_CLASSIFIER])
def test_the_settings_of_an_optimizer_are_restored(path: Path, name: str) -> None:
    saved, now = (
        state.optimizers[name].state_dict()["param_groups"] for state in (busy_session().state, restored(path))
    )
    # JSON has no tuples: Adam's betas come back as a list.
    assert [{**group, "betas": None} for group in now] == [{**group, "betas": None} for group in saved]
    assert [list(group.get("betas", ())) for group in now] == [list(group.get("betas", ())) for group in saved]


def test_a_restored_run_takes_the_same_steps_as_one_that_never_left(path: Path) -> None:
    left, whole = tiny_session(CONFIG), busy_session()
    left = replace(left, state=restored(path))

    def losses(session: Session) -> list[float]:
        return [float(tick.loss) for tick in contrastive(session) if isinstance(tick, Boundary)]

    assert losses(left) == losses(whole)
    assert state_sha256(left.state) == state_sha256(whole.state)


@pytest.mark.parametrize("name", [FEATURES, ATTACK_CLASSIFIER])
def test_a_restored_optimizer_takes_the_same_step(path: Path, name: str) -> None:
    whole, left = busy_session(), replace(busy_session(), state=restored(path))
    for session in (whole, left):
        loss = sum(parameter.square().sum() for parameter in session.state.network.parameters())
        assert isinstance(loss, torch.Tensor)
        session.step_optimizer(name, loss, 0, 10)
    assert weights_sha256(left.state.network) == weights_sha256(whole.state.network)


def test_a_run_that_has_not_trained_yet_can_be_saved_and_restored(tmp_path: Path) -> None:
    state = tiny_session(CONFIG).state
    save_checkpoint(tmp_path / "x.safetensors", state, DESCRIPTION)
    assert state_sha256(restored(tmp_path / "x.safetensors")) == state_sha256(state)


def test_saving_leaves_the_state_as_it_was(tmp_path: Path) -> None:
    state = busy_session().state
    before = state_sha256(state)
    save_checkpoint(tmp_path / "x.safetensors", state, DESCRIPTION)
    assert state_sha256(state) == before


def test_a_restored_state_is_saved_with_the_same_hash(path: Path) -> None:
    before = read_info(path).metadata["claf.sha256"]
    save_checkpoint(path, restored(path), DESCRIPTION)
    assert read_info(path).metadata["claf.sha256"] == before


def test_saving_says_how_large_the_file_is(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    assert save_checkpoint(path, busy_session().state, DESCRIPTION) == path.stat().st_size


def test_a_checkpoint_says_what_it_is_without_being_loaded(path: Path) -> None:
    info = read_info(path)
    assert (info.run, info.step, info.phase, info.epoch, info.classifier) == (
        DESCRIPTION.run,
        4,
        DESCRIPTION.phase,
        1,
        ATTACK_CLASSIFIER,
    )
    assert info.metrics == DESCRIPTION.metrics
    assert info.metadata["claf.num_records"] == 17
    assert info.metadata["claf.requested"] is False


def test_any_reader_of_safetensors_finds_every_tensor_of_the_state(data: bytes) -> None:
    assert safetensors.torch.load(data).keys() == state_tensors(busy_session().state).keys()


def test_equal_weights_have_one_hash_whatever_else_differs(path: Path, tmp_path: Path) -> None:
    session = busy_session()
    session.state.cursor.step += 1
    torch.rand(1, generator=session.state.generators["views"])
    save_checkpoint(tmp_path / "other.safetensors", session.state, replace(DESCRIPTION, run="other"))
    one, other = read_info(path), read_info(tmp_path / "other.safetensors")
    assert one.weights_sha256 == other.weights_sha256 == weights_sha256(session.state.network)
    assert one.metadata["claf.sha256"] != other.metadata["claf.sha256"]


@pytest.mark.parametrize("name", ["encoder.stem.weight", "encoder.norm.running_mean", "classifiers.natural.bias"])
def test_other_weights_or_buffers_have_another_hash(name: str) -> None:
    network = tiny_session(CONFIG).state.network
    before = weights_sha256(network)
    network.state_dict()[name][0] += 1e-6
    assert weights_sha256(network) != before


@pytest.mark.parametrize(
    "other",
    [
        {"b": torch.zeros(2, 3)},
        {"a": torch.zeros(3, 2)},
        {"a": torch.zeros(6)},
        {"a": torch.zeros(2, 3, dtype=torch.float64)},
        {"a": torch.zeros(2, 3, dtype=torch.int32)},
        {"a": torch.zeros(2, 3), "b": torch.zeros(0)},
        {"a": -torch.zeros(2, 3)},
    ],
)
def test_names_shapes_dtypes_and_bits_are_part_of_the_hash(other: dict[str, torch.Tensor]) -> None:
    assert hash_tensors(other) != hash_tensors({"a": torch.zeros(2, 3)})


def test_neither_order_nor_memory_layout_is_part_of_the_hash() -> None:
    a, b = torch.arange(24.0).view(1, 2, 3, 4), torch.ones(2)
    laid_out = a.contiguous(memory_format=torch.channels_last)
    assert hash_tensors({"b": b, "a": laid_out}) == hash_tensors({"a": a, "b": b})


def test_one_flipped_byte_anywhere_in_the_tensors_is_found(path: Path, data: bytes) -> None:
    places = range(header_end(data), len(data), 211)
    for place in (*places, len(data) - 1):
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError, match="altered or damaged"):
            load_checkpoint(path)
    assert len(places) > 100


def test_one_flipped_byte_anywhere_in_the_header_is_found(path: Path, data: bytes) -> None:
    for place in range(0, header_end(data), 37):
        damaged = bytearray(data)
        damaged[place] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"0.75", b"0.95"),
        (b'claf.step": "4"', b'claf.step": "5"'),
        (b'[\\"a\\", \\"b\\"', b'[\\"b\\", \\"a\\"'),
        (b"claf.versions", b"clag.versions"),
    ],
)
def test_altered_metadata_are_found(path: Path, data: bytes, old: bytes, new: bytes) -> None:
    header = data[: header_end(data)]
    changed = header.replace(old, new).replace(old.replace(b": ", b":"), new.replace(b": ", b":"))
    assert changed != header
    path.write_bytes(changed + data[len(header) :])
    with pytest.raises(
        CheckpointError, match=r"altered or damaged: its SHA-256 does not match; use another checkpoint"
    ):
        load_checkpoint(path)


def test_a_truncated_file_is_found_wherever_it_is_cut(path: Path, data: bytes) -> None:
    end = header_end(data)
    for length in (*range(12), end - 1, end, end + 1, *range(100, len(data), 997), len(data) - 1):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError):
            load_checkpoint(path)


def test_a_missing_file_is_found(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_checkpoint(tmp_path / "none.safetensors")


@pytest.mark.parametrize("content", [b"\x80\x02}q\x00.", b"PK\x03\x04 and so on"])
def test_a_pickle_is_refused_whatever_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(CheckpointError, match="is a pickle"):
        load_checkpoint(tmp_path / "x.safetensors")


@pytest.mark.parametrize(("start", "header_bytes"), [(b"\x80", 0x4080), (b"PK", 0x4B50)])
def test_a_header_whose_length_reads_like_the_start_of_a_pickle_is_no_checkpoint(
    path: Path, data: bytes, start: bytes, header_bytes: int
) -> None:
    padding = header_bytes - (header_end(data) - 8)
    save_checkpoint(path, busy_session().state, replace(DESCRIPTION, run=DESCRIPTION.run + padding * "x"))
    assert path.read_bytes().startswith(start)
    assert load_checkpoint(path)[0].step == 4


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".ckpt", ".pkl"])
def test_a_file_named_like_a_pickle_is_refused(path: Path, suffix: str) -> None:
    with pytest.raises(CheckpointError, match="is a pickle"):
        load_checkpoint(path.rename(path.with_suffix(suffix)))


@pytest.mark.parametrize(
    ("key", "value", "reason"),
    [
        ("width", 8, r"classifiers\.adversarial\.weight has shape \(4, 4\), this network \(4, 8\)"),
        ("blocks", [1, 1], r"classifiers\.adversarial\.weight has shape \(4, 4\), this network \(4, 8\)"),
        ("projection_dim", 6, r"projection_head\.layers\.2\.bias has shape \(4,\), this network \(6,\)"),
        ("blocks", [2], r"it lacks tensor encoder\.blocks\.1\.conv1\.weight"),
    ],
)
def test_another_architecture_is_named_by_the_first_tensor_that_does_not_fit(
    path: Path, key: str, value: object, reason: str
) -> None:
    with pytest.raises(CheckpointError, match=f"is of another architecture: {reason}"):
        restored(path, **{f"model__{key}": value})


def test_a_tensor_that_the_network_has_no_place_for_is_named(tmp_path: Path) -> None:
    session = tiny_session(tiny_config(model__blocks=[2]))
    save_checkpoint(tmp_path / "x.safetensors", session.state, DESCRIPTION)
    with pytest.raises(CheckpointError, match=r"it has an unknown tensor encoder\.blocks\.1\.conv1\.weight"):
        restored(tmp_path / "x.safetensors")


def test_another_number_of_classes_is_another_architecture(path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"classifiers\.adversarial\.bias has shape \(4,\), this network \(7,\)"):
        restore_state(CONFIG, 7, FP32, path)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["encoder.stem.weight", "encoder.norm.running_var", "classifiers.natural.bias"])
def test_a_weight_that_is_not_finite_is_named_and_nothing_is_written(tmp_path: Path, name: str, value: float) -> None:
    session = busy_session()
    session.state.network.state_dict()[name][0] = value
    with pytest.raises(NonFiniteLoss, match=rf"diverged before step 4: {name} is not finite"):
        save_checkpoint(tmp_path / "x.safetensors", session.state, DESCRIPTION)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_and_the_old_file_stays(path: Path, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*: No space left on device; older checkpoints are unt"):
        save_checkpoint(path, tiny_session(CONFIG).state, DESCRIPTION)
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").write_text("a file")
    with pytest.raises(CheckpointError, match="cannot write .*: Not a directory"):
        save_checkpoint(tmp_path / "checkpoints" / "x.safetensors", busy_session().state, DESCRIPTION)


def test_a_trained_network_answers_as_it_did_in_training(path: Path) -> None:
    info, config, network = load_trained_network(path)
    FP32.place(network)
    images = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    expected = busy_session().state.network.eval().with_classifier(NATURAL)(images)
    assert torch.equal(network.eval().with_classifier(NATURAL)(images), expected)
    assert (info.step, config) == (4, CONFIG)


def test_a_trained_network_is_loaded_without_touching_the_global_randomness(path: Path) -> None:
    before = torch.get_rng_state()
    load_trained_network(path)
    assert torch.equal(before, torch.get_rng_state())


def test_a_configuration_that_this_version_does_not_know_is_told(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_checkpoint(path, busy_session().state, replace(DESCRIPTION, config={"nonsense": 1}))
    with pytest.raises(CheckpointError, match="holds no configuration that this version knows"):
        load_trained_network(path)


def test_a_checkpoint_that_lacks_part_of_its_state_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    session = busy_session()
    session.state.generators.pop("views")
    save_checkpoint(path, session.state, DESCRIPTION)
    with pytest.raises(CheckpointError, match=r"lacks part of its state .*generator\.views.*older checkpoint"):
        restored(path)


def test_a_restored_optimizer_steps_the_restored_network(path: Path) -> None:
    state = restored(path)
    handed = {
        id(parameter) for group in state.optimizers[ATTACK_CLASSIFIER].param_groups for parameter in group["params"]
    }
    assert handed == {id(parameter) for parameter in state.network.classifiers[ATTACK_CLASSIFIER].parameters()}


def test_what_an_optimizer_remembers_is_restored_in_the_layout_of_its_weights(path: Path) -> None:
    """One kernel that steps all tensors refuses memory that is laid out otherwise."""
    session = tiny_session()
    next(tick for tick in contrastive(session) if isinstance(tick, Boundary))
    save_checkpoint(path, session.state, DESCRIPTION)
    restored = restore_state(session.config, 4, session.compute, path)
    states = restored.optimizers["features"].state
    strides = [(p.stride(), state["momentum_buffer"].stride()) for p, state in states.items()]
    assert any(len(one) == 4 and not p.is_contiguous() for p, (one, _) in zip(states, strides, strict=True))
    assert all(one == other for one, other in strides)


@pytest.mark.parametrize(
    ("key", "value"),
    [("width", 10**6), ("width", 10**18), ("width", 10**30), ("blocks", [10**9]), ("projection_hidden", 10**12)],
)
@pytest.mark.timeout(20)
def test_a_checkpoint_that_claims_a_network_of_any_size_takes_no_memory_for_it(
    tmp_path: Path, key: str, value: object
) -> None:
    state, told = busy_session().state, to_plain(CONFIG)
    save_checkpoint(tmp_path / "x.safetensors", state, replace(DESCRIPTION, config=told))
    assert load_trained_network(tmp_path / "x.safetensors").config == CONFIG
    claimed = {**told, "model": {**told["model"], key: value}}
    save_checkpoint(tmp_path / "x.safetensors", state, replace(DESCRIPTION, config=claimed))
    with pytest.raises(CheckpointError, match="of another architecture"):
        load_trained_network(tmp_path / "x.safetensors")


@pytest.mark.parametrize("value", ["0.1", None, [0.1], True])
def test_a_learning_rate_that_is_no_number_is_none_of_an_optimizer(value: object) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1, momentum=0.9)
    load_optimizer(optimizer, {}, [{"lr": 1}])
    with pytest.raises(ValueError, match="the learning rate of an optimiser is no number"):
        load_optimizer(optimizer, {}, [{"lr": value}])


@pytest.mark.parametrize("group", [{}, {"momentum": 0.5}, {"momentum": None, "nesterov": "yes", "later": 1}])
def test_settings_of_an_optimizer_but_its_learning_rate_are_the_run_s_own(group: dict[str, object]) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(3))], lr=0.1, momentum=0.9)
    load_optimizer(optimizer, {}, [{"lr": 0.5, **group}])
    found = optimizer.param_groups[0]
    assert (found["lr"], found["momentum"], found["nesterov"], "later" in found) == (0.5, 0.9, False, False)


def test_how_an_optimizer_steps_is_not_taken_from_the_checkpoint() -> None:
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.SGD([parameter], lr=0.1, momentum=0.9, fused=False)
    group = {**optimizer.state_dict()["param_groups"][0], "fused": True, "lr": 0.5}
    load_optimizer(optimizer, {}, [{key: value for key, value in group.items() if key != "params"}])
    assert (optimizer.param_groups[0]["fused"], optimizer.param_groups[0]["lr"]) == (False, 0.5)
