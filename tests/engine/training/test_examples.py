import errno
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from claf_engine import events as ev
from claf_engine.accuracy.suite import suite_of
from claf_engine.config import RunConfig
from claf_engine.data import Split, to_pixels
from claf_engine.events.control import Control
from claf_engine.runs import RunDirectory, create_run, list_checkpoints, open_run
from claf_engine.runs.examples import list_steps, read_clean, read_probed
from claf_engine.training.examples import KeptExamples, example_steps, num_kept, watched
from claf_engine.training.methods import phases_of
from claf_engine.training.probe import probe_steps
from tests.engine.tiny import exhaust, play, tiny_config, tiny_data, tiny_session, use_tiny_data, without_clock

PROBE = {"every_epochs": 1, "num_examples": 16, "steps": 2, "fit_epochs": 1, "examples": 6}
CONFIG = tiny_config(method="natural", probe=PROBE)


def kept(config: RunConfig = CONFIG, side: int = 8) -> KeptExamples:
    session = tiny_session(config, tiny_data(side=side))
    _, probed = exhaust(probe_steps(session, phases_of(config)[0]))
    assert probed.examples is not None
    return probed.examples


def test_a_probe_watches_the_same_images_whatever_the_network() -> None:
    session = tiny_session(CONFIG)
    phase = phases_of(CONFIG)[0]
    first = exhaust(probe_steps(session, phase))[1].examples
    for weight in session.state.network.parameters():
        torch.nn.init.uniform_(weight, -0.2, 0.2)
    second = exhaust(probe_steps(session, phase))[1].examples
    assert first is not None
    assert second is not None
    assert first.clean.key == second.clean.key
    assert not np.array_equal(first.probed.before.features, second.probed.before.features)


def test_watched_images_are_validation_images_and_every_class_takes_its_turn() -> None:
    labels = torch.tensor([0, 0, 0, 0, 2, 1, 0, 2])
    split = Split(torch.arange(8, dtype=torch.uint8).view(8, 1, 1, 1), labels)
    chosen = watched(split, 5)
    assert chosen.labels.tolist() == [0, 2, 1, 0, 2]
    assert chosen.images.flatten().tolist() == [0, 4, 5, 1, 7]


def test_more_is_watched_than_there_are_images_only_as_far_as_they_go() -> None:
    assert len(watched(tiny_data().validation, 48)) == 16
    assert num_kept(CONFIG.probe) == 16
    assert num_kept(CONFIG.probe.model_copy(update={"num_examples": 256})) == 48
    assert num_kept(CONFIG.probe.model_copy(update={"num_examples": 256, "examples": 64})) == 64
    assert num_kept(CONFIG.probe.model_copy(update={"examples": 0})) == 0


def test_as_many_pictures_are_kept_as_the_settings_say_and_they_are_the_first_of_the_watched() -> None:
    split = watched(tiny_data().validation, 16)
    clean = kept().clean
    assert np.array_equal(clean.pictures, split.images[:6].numpy())
    assert np.array_equal(clean.labels, split.labels.numpy())


def test_kept_pictures_lie_within_epsilon_of_the_clean_ones_and_not_all_upon_them() -> None:
    found = kept()
    change = np.abs(found.probed.pictures.astype(int) - found.clean.pictures)
    assert 4 <= change.max() <= 8


@pytest.mark.parametrize("method", ["claf", "natural", "rocl"])
def test_answers_are_those_of_the_classifier_that_is_probed(method: str) -> None:
    config = tiny_config(method=method, probe={**PROBE, "examples": 16})
    session, phase = tiny_session(config), phases_of(config)[-1]
    examples = exhaust(probe_steps(session, phase))[1].examples
    assert examples is not None
    assert phase.classifier is not None
    model = session.state.network.with_classifier(phase.classifier).eval()
    with torch.no_grad():
        logits = model(to_pixels(torch.from_numpy(examples.clean.pictures)))
    confidences, classes = F.softmax(logits, 1).max(1)
    assert np.array_equal(examples.probed.before.classes, classes.numpy())
    assert np.allclose(examples.probed.before.confidences, confidences.numpy(), atol=1e-6)
    assert examples.probed.about.classifier == phase.classifier


def test_answers_to_attacked_images_are_those_to_the_kept_pictures_up_to_rounding() -> None:
    config = tiny_config(method="natural", probe={**PROBE, "examples": 16})
    session = tiny_session(config)
    examples = exhaust(probe_steps(session, phases_of(config)[0]))[1].examples
    assert examples is not None
    model = session.state.network.with_classifier("natural").eval()
    with torch.no_grad():
        attacked, clean = (
            F.softmax(model(to_pixels(torch.from_numpy(pictures))), 1).max(1).values.numpy()
            for pictures in (examples.probed.pictures, examples.clean.pictures)
        )
    close, far = (np.abs(examples.probed.after.confidences - values).mean() for values in (attacked, clean))
    assert close < 0.3 * far


def test_before_there_is_a_classifier_the_quick_fit_is_asked() -> None:
    found = kept(tiny_config(method="claf", probe=PROBE))
    assert found.probed.about.classifier == "quick fit"
    assert found.probed.attack == "PGD-2 at 8/255"


@pytest.mark.parametrize(
    "probe",
    [
        {"norm": "l2", "epsilons": ["0.5"], "step_size": "0.25"},
        {"space": "released-code"},
        {"epsilons": ["0", "4/255"]},
    ],
)
def test_examples_are_kept_in_every_norm_and_space(probe: dict[str, object]) -> None:
    found = kept(tiny_config(method="natural", probe={**PROBE, **probe}))
    assert not np.array_equal(found.probed.pictures, found.clean.pictures)
    assert np.isfinite(found.probed.after.features).all()


@pytest.mark.parametrize("probe", [{"examples": 0}, {"epsilons": ["0"]}, {"epsilons": []}])
def test_nothing_is_kept_where_that_is_switched_off_or_nothing_is_attacked(probe: dict[str, object]) -> None:
    session = tiny_session(tiny_config(method="natural", probe={**PROBE, **probe}))
    _, probed = exhaust(probe_steps(session, phases_of(session.config)[0]))
    assert probed.examples is None


def test_larger_images_are_averaged_down_to_32_a_side() -> None:
    split = Split(torch.randint(0, 256, (4, 3, 64, 48), dtype=torch.uint8), torch.arange(4))
    session = tiny_session(CONFIG)
    suite = suite_of(CONFIG.probe, CONFIG.model)
    model = session.state.network.with_classifier("natural")
    _, found = exhaust(example_steps(model, split, suite, session.compute, kept().probed.about, 4))
    assert found.clean.pictures.shape == (4, 3, 32, 24)
    mean = split.images.float().view(4, 3, 32, 2, 24, 2).mean((3, 5))
    assert np.abs(found.clean.pictures - mean.numpy()).max() <= 0.5


def test_features_of_a_wide_encoder_are_kept_in_16_dimensions_that_keep_distances() -> None:
    config = tiny_config(method="natural", model__width=64, probe=PROBE)
    session = tiny_session(config)
    examples = exhaust(probe_steps(session, phases_of(config)[0]))[1].examples
    assert examples is not None
    model = session.state.network.eval()
    with torch.no_grad():
        whole = model.encoder(to_pixels(watched(session.data.validation, 16).images)).numpy()
    assert examples.probed.before.features.shape == (16, 16)
    lengths = np.linalg.norm(whole - whole[:1], axis=1)[1:]
    shorter = np.linalg.norm(examples.probed.before.features - examples.probed.before.features[:1], axis=1)[1:]
    assert ((shorter / lengths > 0.2) & (shorter / lengths < 0.9)).all()
    assert np.corrcoef(shorter, lengths)[0, 1] > 0.6


@pytest.fixture(autouse=True)
def _tiny_data(monkeypatch: pytest.MonkeyPatch) -> None:
    use_tiny_data(monkeypatch)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[RunDirectory]:
    made = create_run(tmp_path, "tiny", CONFIG, [])
    yield made
    made.close()


def files_of(directory: RunDirectory) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (directory.path / "examples").iterdir()}


def notices(events: list[ev.Event]) -> list[str]:
    return [event.text for event in events if isinstance(event, ev.Notice)]


def test_every_probe_of_a_run_leaves_a_small_file_under_its_step(directory: RunDirectory) -> None:
    probes = [event for event in play(directory) if isinstance(event, ev.ProbeFinished)]
    assert list_steps(directory.path) == tuple(probe.step for probe in probes)
    assert len(probes) == 2
    clean = read_clean(directory.path)
    for probe in probes:
        found = read_probed(directory.path, probe.step, clean)
        assert (found.about.epoch, found.about.classifier) == (probe.epoch, probe.classifier)
    assert max(map(len, files_of(directory).values())) < 4_000


def test_a_file_of_a_probe_is_there_when_its_event_comes(directory: RunDirectory) -> None:
    found = []

    def look(event: ev.Event, _: Control) -> None:
        if isinstance(event, ev.ProbeFinished):
            found.append(event.step in list_steps(directory.path))

    play(directory, look)
    assert found == [True, True]


def test_examples_change_nothing_of_training_or_of_what_is_measured(directory: RunDirectory, tmp_path: Path) -> None:
    off = tiny_config(method="natural", probe={**PROBE, "examples": 0})
    without = create_run(tmp_path, "without", off, [])
    kinds = (ev.StepLogged, ev.ProbeFinished, ev.SentinelsChecked)
    assert without_clock(play(directory), *kinds) == without_clock(play(without), *kinds)
    assert not (without.path / "examples").exists()
    hashes = [
        [entry.info.weights_sha256 for entry in list_checkpoints(run.path) if entry.info is not None]
        for run in (directory, without)
    ]
    assert hashes[0] == hashes[1] != []


def test_a_resumed_run_keeps_the_same_examples_to_the_bit(directory: RunDirectory, tmp_path: Path) -> None:
    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 4:
            control.stop()

    whole = create_run(tmp_path, "whole", CONFIG, [])
    play(whole)
    play(directory, stop)
    assert len(files_of(directory)) == 2
    play(open_run(directory.path))
    assert files_of(directory) == files_of(whole)


def test_examples_of_a_probe_that_is_dropped_are_dropped_with_it(directory: RunDirectory) -> None:
    """A probe asked for at step 2 of a run that breaks off before it saves: it goes on from step 1."""

    class Crash(Exception):
        pass

    def react(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 1:
            control.checkpoint_now()
        if isinstance(event, ev.StepLogged) and event.step == 2:
            control.probe_now()
        if isinstance(event, ev.ProbeFinished):
            raise Crash

    with pytest.raises(Crash):
        play(directory, react)
    assert list_steps(directory.path) == (2,)
    events = play(open_run(directory.path))
    assert [event.resumed_from_step for event in events if isinstance(event, ev.RunStarted)] == [1]
    assert list_steps(directory.path) == (3, 6)


def test_a_run_of_before_there_were_examples_goes_on(directory: RunDirectory) -> None:
    def stop(event: ev.Event, control: Control) -> None:
        if isinstance(event, ev.StepLogged) and event.step == 4:
            control.stop()

    play(directory, stop)
    shutil.rmtree(directory.path / "examples")
    assert notices(play(open_run(directory.path)))[1:] == []
    assert list_steps(directory.path) == (6,)


@pytest.mark.parametrize("call", ["fsync", "replace", "mkdir"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS])
def test_examples_that_cannot_be_written_are_a_notice_and_the_run_goes_on(
    directory: RunDirectory, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    real, refused = getattr(os, call), []

    def failing(target: object, *arguments: object, **options: object) -> object:
        name = os.readlink(f"/proc/self/fd/{target}") if isinstance(target, int) else str(target)
        if "/examples" not in name:
            return real(target, *arguments, **options)
        refused.append(name)
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, failing)
    events = play(directory)
    assert len(refused) == 2, "the control: it was tried at every probe"
    told = (
        f"cannot keep the probe's adversarial examples: {os.strerror(number)}; training goes on, and it is tried again"
    )
    assert notices(events) == [told]
    assert isinstance(events[-1], ev.RunFinished)
    assert events[-1].status == "finished"
    assert list_steps(directory.path) == ()


def test_without_a_fault_no_notice_is_told_of_examples(directory: RunDirectory) -> None:
    assert notices(play(directory)) == []
