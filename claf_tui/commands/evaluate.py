"""`claf-tui eval`."""

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from claf_engine.terms.names import Norm
from claf_engine.terms.pixels import RANGE_MARK, USUAL_RADII, parse_distance, parse_radii
from claf_tui.commands import options
from claf_tui.reports import output
from claf_tui.words import exit_codes

if TYPE_CHECKING:
    from claf_engine.config.launch import Launch
    from claf_engine.evaluation.defences import DefenceChoice
    from claf_engine.evaluation.detectors import DetectorChoice
    from claf_engine.evaluation.request import EvaluationRequest

DEFAULT_RADII: Mapping[Norm, tuple[str, ...]] = {
    "linf": ("8/255", "16/255"),
    "l2": ("0.25", "0.5"),
    "l1": ("6", "12"),
}
MinRobust = Annotated[
    float | None,
    typer.Option(
        "--min-robust-accuracy",
        metavar="FRACTION",
        parser=options.share,
        help="Exit with 6 when the lowest robust accuracy is below this.",
    ),
]


def evaluate(  # noqa: PLR0913 (Typer declares one parameter per option)
    checkpoint: options.CheckpointOrModel = None,
    attack: options.Attack = "pgd",
    eps: options.Epsilons = None,
    norm: options.Norms = None,
    space: options.Space = "pixel",
    steps: options.Steps = None,
    step_size: options.StepSize = None,
    crafted_on: options.CraftedOn = None,
    as_paper: options.AsPaper = False,
    restarts: options.Restarts = None,
    decides: options.Decides = None,
    seed: options.Seed = 0,
    defence: options.Defence = None,
    detector: options.Detector = None,
    fpr: options.FalsePositiveRate = None,
    data: options.TestData = None,
    num_examples: options.NumExamples = None,
    classifier: options.Classifier = None,
    which: options.WhichMeasured = None,
    batch_size: options.BatchSize = 250,
    device: options.Device = "auto",
    json: options.Json = False,
    min_robust_accuracy: MinRobust = None,
    accept_changed_data: options.AcceptChangedData = False,
    plugin: options.Plugins = None,
    model: options.Model = None,
    weights: options.Weights = None,
    out: options.Out = None,
) -> int:
    """Measure natural and robust accuracy of a checkpoint, or of any model, on test images, in full precision."""
    options.load_plugins(plugin, data)
    source = options.model_source(checkpoint, model, weights, out)
    from claf_engine.runs import find_checkpoint, runs_root

    guard, watch, usual = guards(defence, detector)

    def path() -> Path:
        if checkpoint is None:
            assert source is not None, "one of the two is named"
            return source.place
        return find_checkpoint(checkpoint, runs_root(), options.which_checkpoint(which or usual))

    chosen = path()
    from claf_engine.evaluation.request import Ball, EvaluationRequest

    norms: Any = norm or ("linf",)
    first, epsilons, further = radii_of_norms(eps, norms)
    request = EvaluationRequest(
        checkpoint=chosen,
        epsilons=epsilons,
        attack=attack,
        steps=steps,
        step_size=None if step_size is None else length(step_size, first),
        restarts=restarts,
        decides=decides,
        norm=first,
        further=tuple(Ball(*ball) for ball in further),
        space=space,
        defence=guard,
        num_examples=num_examples,
        data=data,
        classifier=classifier,
        batch_size=batch_size,
        seed=seed,
        device=device,
        is_curve=any(RANGE_MARK in text for text in eps or ()),
        command=tuple(sys.argv),
        accepts_changed_data=accept_changed_data,
        source=source,
        as_paper=as_paper,
        detector=watch,
        fpr=fpr,
        crafted_on=crafted_on,
    )
    from claf_engine.config.launch import Launch

    launch = Launch.from_environment()
    record = measure(request, lambda asked: replace(asked, checkpoint=path()), launch, is_json=json)
    if min_robust_accuracy is None or launch.is_follower:
        return exit_codes.OK
    return verdict(record, min_robust_accuracy)


def guards(
    defence: str | None, detector: str | None
) -> "tuple[DefenceChoice | None, DetectorChoice | None, Literal['best', 'last']]":
    """The defence and the detector that were asked for, and the checkpoint that is measured where none is named.

    What a run trained beside its network stands in its last checkpoint, and earlier ones may lack it.
    """
    if defence is None and detector is None:  # nothing to read, and a run that does not exist is told at once
        return None, None, "best"
    from claf_engine.evaluation.defences import DEFENCES, parse_defence
    from claf_engine.evaluation.detectors import DETECTORS, parse_detector

    guard = None if defence is None else parse_defence(defence)
    watch = None if detector is None else parse_detector(detector)
    is_trained = (guard is not None and DEFENCES[guard.name].has_weights) or (
        watch is not None and DETECTORS[watch.name].has_weights
    )
    return guard, watch, "last" if is_trained else "best"


def radii(given: Sequence[str] | None, norm: Norm) -> tuple[Fraction, ...]:
    """The radii to attack at: those that were given, each once, or the usual ones of the norm.

    Raises:
        typer.BadParameter: one is too long for the norm.
    """
    try:
        return tuple(
            dict.fromkeys(radius for text in given or DEFAULT_RADII[norm] for radius in parse_radii(text, norm))
        )
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--eps'") from error


def radii_of_norms(
    given: Sequence[str] | None, norms: Sequence[Norm]
) -> tuple[Norm, tuple[Fraction, ...], tuple[tuple[Norm, Fraction], ...]]:
    """The first norm with its radii, and further norms with a radius each.

    One norm has all radii. Of several, the n-th norm has the n-th radius, or the usual one of its norm where none is
    given.

    Raises:
        typer.BadParameter: there are not as many radii as norms, or one is too long for its norm.
    """
    first, *others = norms
    if not others:
        return first, radii(given, first), ()
    texts = given or [USUAL_RADII[norm] for norm in norms]
    if len(texts) != len(norms):
        raise typer.BadParameter(
            f"there are {len(norms)} --norm and {len(texts)} --eps; with several norms give each its own --eps, in the "
            "same order, or none at all",
            param_hint="'--eps'",
        )
    found = [radii([text], norm)[0] for text, norm in zip(texts, norms, strict=True)]
    return first, (found[0],), tuple(zip(others, found[1:], strict=True))


def length(text: str, norm: Norm) -> Fraction:
    """The step size that was given.

    Raises:
        typer.BadParameter: it is too long for its norm.
    """
    try:
        return parse_distance(text, norm)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="'--step-size'") from error


def measure(
    request: "EvaluationRequest",
    choose: Callable[["EvaluationRequest"], "EvaluationRequest"],
    launch: "Launch",
    *,
    is_json: bool,
) -> dict[str, Any]:
    """Evaluate, show the figures with what must be known about them, and give the record.

    Args:
        request: what to measure.
        choose: the same request with a checkpoint chosen afresh, for when it is gone before it is open.
        launch: of this process; of several that share the images out the first one shows the figures.
        is_json: print the record alone.
    """
    from claf_engine.compute.device import own_process
    from claf_engine.compute.joining import joined
    from claf_engine.config import RuntimeConfig
    from claf_engine.evaluation.evaluate import evaluation_steps
    from claf_engine.events.ticks import exhaust
    from claf_engine.runs.choosing import afresh_steps

    own_process(RuntimeConfig(device=request.device))
    if request.attack == "autoattack":
        output.note(resumption(request.checkpoint))
    with joined(launch) as world:
        measured = evaluation_steps if world.is_single else partial(evaluation_steps, world=world)
        steps = afresh_steps(request, choose, measured)
        record = (exhaust(steps) if launch.is_follower else output.follow(steps)).to_record()
    if launch.is_follower:
        return record
    if is_json:
        output.record(record)
        return record
    from claf_tui.reports import runs

    output.show(*runs.evaluation_tables(record))
    for notice in record.get("notices", ()):
        output.note(notice)
    output.note("an attack gives an upper bound: a stronger one can only lower robust accuracy")
    if record.get("card"):
        output.note(f"card: {record['card']}/card.md")
    if not str(record.get("audit", "unaudited")).startswith("audit "):
        output.note("`claf-tui audit` asks whether these figures can be believed")
    return record


def resumption(checkpoint: Path) -> str:
    """Say whether an AutoAttack that is cut off can go on, and from where."""
    from claf_engine.evaluation.evaluate import autoattack_folder

    folder = autoattack_folder(checkpoint)
    if folder is None:
        return f"{checkpoint.absolute().parent} cannot be written: an AutoAttack that is cut off begins anew"
    return f"AutoAttack keeps what it has done in {folder}: the same command goes on from there"


def verdict(record: Mapping[str, Any], required: float) -> int:
    """Compare the lowest robust accuracy with what was required, and say when it falls short.

    Over several norms it is the worst case over all of them.
    """
    if "union" in record and record["union"]["robust_accuracy"] < required:
        share = record["union"]["robust_accuracy"]
        output.error(
            f"robust accuracy over all norms is {share:.4f}, below the required {required:g} (--min-robust-accuracy)"
        )
        return exit_codes.NOT_ROBUST_ENOUGH
    worst = min(record["robust"], key=lambda item: float(item["robust_accuracy"]))
    if worst["robust_accuracy"] >= required:
        return exit_codes.OK
    output.error(
        f"robust accuracy at {described(worst)} is {worst['robust_accuracy']:.4f}, "
        f"below the required {required:g} (--min-robust-accuracy)"
    )
    return exit_codes.NOT_ROBUST_ENOUGH


def described(item: Mapping[str, Any]) -> str:
    """A figure's radius, and its attacker where a defence makes two of them."""
    from claf_tui.reports.evaluation import radius_of

    radius = radius_of(item)
    has_defence = item.get("defence", "none") != "none"
    return f"{radius} (behind {item['defence']}, {item['knowledge']} attack)" if has_defence else radius
