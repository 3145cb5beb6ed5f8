import json
import sys
from collections.abc import Generator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from claf_engine.evaluation.defences import DefenceChoice
from claf_engine.evaluation.detectors import DetectorChoice
from claf_engine.evaluation.evaluate import autoattack_folder
from claf_engine.evaluation.request import EvaluationRequest
from claf_engine.events.ticks import Pulse
from claf_tui import cli
from claf_tui.commands.evaluate import verdict
from claf_tui.words import exit_codes
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted import write_checkpoint

Shown = pytest.CaptureFixture[str]


class Evaluation:
    """Stands in for the engine's evaluation; keeps what it was asked for."""

    def __init__(self, *robust: float) -> None:
        self.robust = robust
        self.request: Any = None
        self.labels: dict[str, object] = {}
        self.notices: list[str] = []
        self.more: dict[str, object] = {}

    def steps(self, request: Any) -> Generator[Pulse, None, SimpleNamespace]:
        self.request = request
        yield Pulse("natural accuracy", 1, 2)
        yield Pulse("PGD-10 at 8/255", 2, 2)
        robust: list[dict[str, object]] = [
            {"epsilon": f"{8 * (index + 1)}/255", "robust_accuracy": accuracy, "attack": "pgd", "steps": 10}
            for index, accuracy in enumerate(self.robust)
        ]
        for item in robust:
            item.update(self.labels)
        record = {"natural_accuracy": 0.9, "robust": robust, "checkpoint": EVERYTHING, "weights_sha256": "abc"}
        return SimpleNamespace(to_record=lambda: {**record, **self.more, "notices": self.notices})


@pytest.fixture
def evaluation(monkeypatch: pytest.MonkeyPatch) -> Evaluation:
    fake = Evaluation(0.6, 0.3)

    module = SimpleNamespace(
        EvaluationRequest=EvaluationRequest, evaluation_steps=fake.steps, autoattack_folder=autoattack_folder
    )
    monkeypatch.setitem(sys.modules, "claf_engine.evaluation.evaluate", module)
    return fake


@pytest.fixture
def checkpoint(root: Path) -> Path:
    folder = root / "20260101-000000-old"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text("")
    write_checkpoint(folder, 10, natural=0.9)
    return write_checkpoint(folder, 20, natural=0.5)


def test_the_table_shows_natural_and_robust_accuracy(evaluation: Evaluation, checkpoint: Path, capsys: Shown) -> None:
    assert cli.run(["eval", str(checkpoint)]) == 0
    shown = capsys.readouterr()
    assert all(text in shown.out for text in ("90.0%", "60.0%", "30.0%", "8/255", "weights_sha256  abc"))
    assert "\x1b" not in shown.out
    assert shown.err.startswith("an attack gives an upper bound")


def test_json_goes_to_stdout_alone(evaluation: Evaluation, checkpoint: Path, capsys: Shown) -> None:
    assert cli.run(["eval", str(checkpoint), "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["robust"][0]["robust_accuracy"] == 0.6
    assert shown.err == ""


def test_without_options_it_attacks_the_whole_test_split_at_two_radii(evaluation: Evaluation, checkpoint: Path) -> None:
    cli.run(["eval", str(checkpoint)])
    request = evaluation.request
    assert request.epsilons == (Fraction(8, 255), Fraction(16, 255))
    assert (request.attack, request.norm, request.space, request.defence) == ("pgd", "linf", "pixel", None)
    assert (request.steps, request.step_size, request.restarts) == (None, None, None)
    assert (request.num_examples, request.data, request.classifier) == (None, None, None)
    assert request.decides is None
    assert (request.batch_size, request.seed, request.device) == (250, 0, "auto")


def test_the_options_reach_the_request(evaluation: Evaluation, checkpoint: Path) -> None:
    options = "--eps 0 --eps 0.5 --eps 4/255 --eps 4/255 --steps 20 --step-size 1/255 --restarts 3 --seed 5"
    more = "--data folder:x --num-examples 7 --classifier natural --batch-size 9 --device cpu"
    which = "--attack mi-fgsm --norm l2 --space released-code --defence bit-depth:4"
    options = options.replace("--restarts 3 ", "")
    assert cli.run(["eval", str(checkpoint), *f"{options} {more} {which}".split()]) == 0
    request = evaluation.request
    assert request.epsilons == (Fraction(0), Fraction(1, 2), Fraction(4, 255))
    assert (request.steps, request.step_size, request.seed) == (20, Fraction(1, 255), 5)
    assert (request.attack, request.norm, request.space) == ("mi-fgsm", "l2", "released-code")
    assert request.defence == DefenceChoice("bit-depth", (4,))
    assert (request.data, request.num_examples, request.classifier) == ("folder:x", 7, "natural")
    assert (request.batch_size, request.device) == (9, "cpu")


@pytest.mark.parametrize(("text", "rate"), [("5%", 0.05), ("0.1", 0.1), (None, 0.05)])
def test_a_detector_reaches_the_request_with_its_rate(
    evaluation: Evaluation, checkpoint: Path, text: str | None, rate: float
) -> None:
    options = ["--detector", "squeezing:median:2", *(["--fpr", text] if text else [])]
    assert cli.run(["eval", str(checkpoint), *options]) == 0
    assert evaluation.request.detector == DetectorChoice("squeezing", (DefenceChoice("median", (2,)),))
    assert evaluation.request.wanted_rate == pytest.approx(rate)


def test_a_range_of_radii_is_measured_as_a_curve_together_with_single_ones(
    evaluation: Evaluation, checkpoint: Path
) -> None:
    assert cli.run(["eval", "latest", "--eps", "1/2", "--eps", "0:4/255:2/255", "--eps", "2/255"]) == 0
    assert evaluation.request.epsilons == (Fraction(1, 2), Fraction(0), Fraction(2, 255), Fraction(4, 255))
    assert evaluation.request.is_curve


def test_single_radii_are_no_curve(evaluation: Evaluation, checkpoint: Path) -> None:
    assert cli.run(["eval", "latest", "--eps", "0", "--eps", "2/255"]) == 0
    assert not evaluation.request.is_curve


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ("--eps 0:16/255", "Invalid value for '--eps': '0:16/255' is not a range; write start:stop:step, such as 0"),
        ("--eps 0:16/255:3/255", "Invalid value for '--eps': 0:16/255:3/255 passes over its end: the last radius be"),
        ("--eps 0:1:1/255", "Invalid value for '--eps': 0:1:1/255 has more than 64 radii, the most that are measured"),
        ("--eps 0:63/255:1/255 --eps 0.5", "65 radii are asked for, and at most 64 are measured; take larger steps"),
        ("--eps 0:4/255:2/255 --defence median:2", "a range of --eps is measured without a defence"),
        ("--eps 0:4/255:2/255 --attack autoattack", "a range of --eps is measured with pgd, fgsm, mi-fgsm; give auto"),
    ],
)
def test_a_range_that_no_curve_is_measured_of_is_refused_in_one_sentence(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown, options: str, sentence: str
) -> None:
    assert cli.run(["eval", "latest", *options.split()]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {sentence}")
    assert told.count("\n") == 1
    assert evaluation.request is None


@pytest.mark.parametrize(
    ("options", "step"),
    [([], 10), (["--checkpoint", "last"], 20), (["--checkpoint", "20"], 20), (["--checkpoint", "best"], 10)],
)
@pytest.mark.parametrize("run", ["latest", "old"])
def test_a_run_stands_for_its_best_checkpoint_unless_told_otherwise(
    evaluation: Evaluation, checkpoint: Path, options: list[str], step: int, run: str
) -> None:
    assert cli.run(["eval", run, *options]) == 0
    assert evaluation.request.checkpoint == checkpoint.with_name(f"step-{step:09d}.safetensors")


@pytest.mark.parametrize(
    ("epsilon", "sentence"),
    [
        ("16", "16 is above 1, and images lie in [0, 1]; did you mean 16/255?"),
        ("-1", "-1 is negative; a distance lies in [0, 1], such as 8/255"),
        ("nan", "'nan' is not a distance; write a fraction such as 8/255 or a number in [0, 1]"),
        ("inf", "'inf' is not a distance; write a fraction such as 8/255 or a number in [0, 1]"),
        ("8/0", "'8/0' is not a distance; write a fraction such as 8/255 or a number in [0, 1]"),
        ("", "'' is not a distance; write a fraction such as 8/255 or a number in [0, 1]"),
    ],
)
@pytest.mark.parametrize("option", ["--eps", "--step-size"])
def test_a_distance_that_makes_no_sense_is_refused_with_a_hint(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown, option: str, epsilon: str, sentence: str
) -> None:
    assert cli.run(["eval", str(checkpoint), option, epsilon]) == 2
    assert capsys.readouterr().err == f"error: Invalid value for '{option}': {sentence}\n"
    assert evaluation.request is None


def test_a_radius_above_1_is_taken_in_l2_and_in_no_other_norm(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown
) -> None:
    options = ["eval", str(checkpoint), "--eps", "2.0", "--step-size", "1.5"]
    assert cli.run([*options, "--norm", "l2"]) == 0
    assert (evaluation.request.epsilons, evaluation.request.step_size) == ((2,), Fraction(3, 2))
    assert cli.run(options) == 2
    assert "'--eps': 2.0 is above 1, and images lie in [0, 1]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--checkpoint", "newest"], "'newest' is neither best, last nor a step"),
        (["--checkpoint", "21"], "has no checkpoint of step 21; it has 20, 10"),
        (["--steps", "0"], "'--steps'"),
        (["--restarts", "0"], "'--restarts'"),
        (["--num-examples", "0"], "'--num-examples'"),
        (["--classifier", "best"], "'--classifier'"),
        (["--decides", "first"], "'--decides'"),
        (
            ["--attack", "cw"],
            "--attack: unknown attack 'cw'; use pgd, fgsm, mi-fgsm, autoattack, universal or universal-deepfool",
        ),
        (["--norm", "l3"], "'--norm'"),
        (["--space", "refcode"], "'--space'"),
        (["--defence", "blur:3"], "unknown defence 'blur:3'; use bit-depth:N (N from 1 to 7), median:N (N from 2 to"),
        (["--detector", "blur"], "unknown detector 'blur'; use squeezing[:SQUEEZER+...]"),
        (["--detector", "squeezing", "--fpr", "0"], "'0' is not a share between 0 and 1, such as 5% or 0.05"),
        (["--detector", "squeezing", "--fpr", "5%%"], "'5%%' is not a share"),
        (["--fpr", "5%"], "--fpr is the share of natural images that a --detector may reject; name a detector"),
        (["--detector", "squeezing", "--attack", "autoattack"], "a detector is not measured with --attack autoattack"),
        (["--detector", "squeezing", "--eps", "0:4/255:2/255"], "a detector is not measured with the range of --eps"),
        (
            ["--detector", "squeezing", "--defence", "defense-gan"],
            "a detector is not measured with --defence defense-gan",
        ),
        (["--detector", "squeezing", "--data", "shapes"], "its threshold is set on the validation images of the run"),
        (["--defence", "median:9"], "median of 9 is out of range; use median:N (N from 2 to 5)"),
        (["--attack", "fgsm", "--steps", "10"], "fgsm takes one step of epsilon from the image itself; leave out --st"),
        (
            ["--attack", "autoattack", "--restarts", "2"],
            "autoattack sets its own steps and restarts; leave out --resta",
        ),
        (["--attack", "autoattack", "--space", "released-code"], "autoattack searches an epsilon-ball"),
        (["--min-robust-accuracy", "60"], "'60' is not a fraction in [0, 1]"),
    ],
)
def test_other_options_that_make_no_sense_are_named(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown, options: list[str], sentence: str
) -> None:
    assert cli.run(["eval", "latest", *options]) in (2, 3)
    assert sentence in capsys.readouterr().err
    assert evaluation.request is None


@pytest.mark.parametrize(("required", "code"), [("0.3", 0), ("0.31", 6)])
def test_the_lowest_robust_accuracy_must_reach_what_was_required(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown, required: str, code: int
) -> None:
    assert cli.run(["eval", str(checkpoint), "--json", "--min-robust-accuracy", required]) == code
    told = "error: robust accuracy at 16/255 is 0.3000, below the required 0.31 (--min-robust-accuracy)\n"
    assert capsys.readouterr().err == (told if code else "")


@pytest.mark.parametrize(
    ("reference", "sentence"), [("nope", "no run 'nope'"), ("latest", "there are no runs in"), (EVERYTHING, "no run ")]
)
def test_a_run_that_does_not_exist_is_named(capsys: Shown, reference: str, sentence: str) -> None:
    assert cli.run(["eval", reference]) == 3
    shown = capsys.readouterr().err
    assert sentence in shown
    assert "\x1b" not in shown


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("none.safetensors", None, "no checkpoint at none.safetensors; `claf-tui runs` lists the runs"),
        ("none.pt", None, "no checkpoint at none.pt"),
        ("model.pth", b"\x80\x02}q\x00.", "model.pth is a pickle, which can run code when opened"),
        ("text.safetensors", b"hello, this is no checkpoint", "text.safetensors is damaged or not safetensors"),
    ],
)
def test_a_file_that_is_no_checkpoint_is_refused(
    tmp_path: Path, capsys: Shown, name: str, content: bytes | None, sentence: str
) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert cli.run(["eval", name]) == 3
    assert sentence in capsys.readouterr().err


def test_several_restarts_reach_the_request(evaluation: Evaluation, checkpoint: Path) -> None:
    assert cli.run(["eval", str(checkpoint), "--restarts", "3"]) == 0
    assert evaluation.request.restarts == 3


def test_in_l2_the_radii_are_lengths_of_their_own(evaluation: Evaluation, checkpoint: Path) -> None:
    assert cli.run(["eval", str(checkpoint), "--norm", "l2"]) == 0
    assert evaluation.request.epsilons == (Fraction(1, 4), Fraction(1, 2))


def test_the_point_that_decides_reaches_the_request(evaluation: Evaluation, checkpoint: Path) -> None:
    assert cli.run(["eval", str(checkpoint), "--decides", "any"]) == 0
    assert evaluation.request.decides == "any"


def test_a_verdict_on_a_figure_that_any_point_decides_says_so(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown
) -> None:
    evaluation.labels = {"decides": "any"}
    cli.run(["eval", str(checkpoint), "--json", "--decides", "any", "--min-robust-accuracy", "0.31"])
    assert "error: robust accuracy at 16/255 (any point) is 0.3000" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--steps", "--step-size", "--restarts", "--decides"])
@pytest.mark.parametrize("attack", ["fgsm", "autoattack"])
def test_an_option_that_the_attack_ignores_is_refused_in_one_sentence(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown, attack: str, option: str
) -> None:
    value = {"--step-size": "1/255", "--decides": "any"}.get(option, "1")
    assert cli.run(["eval", str(checkpoint), "--attack", attack, option, value]) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {attack} ")
    assert told.endswith(f"; leave out {option}\n")
    assert told.count("\n") == 1
    assert evaluation.request is None


def test_autoattack_says_where_it_goes_on_from(evaluation: Evaluation, checkpoint: Path, capsys: Shown) -> None:
    assert cli.run(["eval", str(checkpoint), "--attack", "autoattack", "--json"]) == 0
    folder = checkpoint.with_name(f"{checkpoint.name}.autoattack")
    assert capsys.readouterr().err == (
        f"AutoAttack keeps what it has done in {folder}: the same command goes on from there\n"
    )


def test_autoattack_says_when_it_cannot_go_on(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_: False)
    assert cli.run(["eval", str(checkpoint), "--attack", "autoattack", "--json"]) == 0
    told = capsys.readouterr().err
    assert told == f"{checkpoint.parent} cannot be written: an AutoAttack that is cut off begins anew\n"


def test_other_attacks_say_nothing_of_going_on(evaluation: Evaluation, checkpoint: Path, capsys: Shown) -> None:
    assert cli.run(["eval", str(checkpoint), "--json"]) == 0
    assert capsys.readouterr().err == ""


def test_what_the_evaluation_noticed_is_told_with_the_table(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown
) -> None:
    evaluation.notices = ["gradients may be masked"]
    assert cli.run(["eval", str(checkpoint)]) == 0
    assert capsys.readouterr().err.startswith("gradients may be masked\nan attack gives an upper bound")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"space": "released-code"}, "robust accuracy at 16/255 (no ball) is 0.3000"),
        ({"norm": "l2"}, "robust accuracy at L2 16/255 is 0.3000"),
        (
            {"defence": "median:2", "knowledge": "adaptive"},
            "robust accuracy at 16/255 (behind median:2, adaptive attack) is 0.3000",
        ),
    ],
)
def test_the_verdict_says_what_kind_of_figure_fell_short(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown, labels: dict[str, object], words: str
) -> None:
    evaluation.labels = labels
    assert cli.run(["eval", str(checkpoint), "--json", "--min-robust-accuracy", "0.5"]) == 6
    assert f"error: {words}, below the required 0.5" in capsys.readouterr().err


def test_a_figure_that_no_audit_stands_behind_comes_with_the_way_to_one(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown
) -> None:
    assert cli.run(["eval", "latest"]) == 0
    shown = capsys.readouterr()
    assert "standing        unaudited" in shown.out
    assert "`claf-tui audit` asks whether these figures can be believed" in shown.err


def test_an_audited_figure_says_so_and_where_its_card_is(
    evaluation: Evaluation, checkpoint: Path, capsys: Shown
) -> None:
    evaluation.more = {"audit": "audit warns", "card": "/runs/audit/x"}
    assert cli.run(["eval", "latest"]) == 0
    shown = capsys.readouterr()
    assert "standing        audit warns" in shown.out
    assert "card: /runs/audit/x/card.md" in shown.err
    assert "claf-tui audit" not in shown.err


@pytest.mark.parametrize("flags", [[], ["--accept-changed-data"]])
def test_changed_images_are_accepted_only_where_a_person_says_so(
    evaluation: Evaluation, checkpoint: Path, flags: list[str]
) -> None:
    assert cli.run(["eval", str(checkpoint), *flags]) == 0
    assert evaluation.request.accepts_changed_data == bool(flags)


def test_the_nth_radius_belongs_to_the_nth_norm(evaluation: Evaluation, checkpoint: Path) -> None:
    assert cli.run(["eval", "latest", "--norm", "linf", "--eps", "4/255", "--norm", "l1", "--eps", "6"]) == 0
    request = evaluation.request
    assert (request.norm, request.epsilons) == ("linf", (Fraction(4, 255),))
    assert [(ball.norm, ball.epsilon) for ball in request.further] == [("l1", 6)]


def test_several_norms_without_radii_have_those_of_the_field(evaluation: Evaluation, checkpoint: Path) -> None:
    assert cli.run(["eval", "latest", "--norm", "l1", "--norm", "linf", "--norm", "l2"]) == 0
    request = evaluation.request
    assert (request.norm, request.epsilons) == ("l1", (12,))
    assert [(ball.norm, ball.epsilon) for ball in request.further] == [
        ("linf", Fraction(8, 255)),
        ("l2", Fraction(1, 2)),
    ]


def test_several_norms_need_a_radius_each(checkpoint: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["eval", "latest", "--norm", "linf", "--norm", "l2", "--eps", "8/255"]) == 2
    assert "there are 2 --norm and 1 --eps" in " ".join(capsys.readouterr().err.split())


def test_the_worst_case_over_all_norms_may_fall_short() -> None:
    record = {"robust": [{"epsilon": "8/255", "robust_accuracy": 0.5}], "union": {"robust_accuracy": 0.2}}
    assert verdict(record, 0.3) == exit_codes.NOT_ROBUST_ENOUGH
    assert verdict(record, 0.2) == exit_codes.OK
