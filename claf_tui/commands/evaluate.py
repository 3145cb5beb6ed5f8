"""`claf-tui eval`."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import typer

from claf_engine.pixels import parse_distance
from claf_tui import exit_codes, output
from claf_tui.commands import options

Epsilons = Annotated[
    list[str],
    typer.Option(
        "--eps",
        metavar="N/255",
        parser=options.distance,
        help="Radius of the attack in pixel space; repeat it for several.",
        rich_help_panel="Attack",
    ),
]
Steps = Annotated[int, typer.Option(min=1, help="Attack steps.", rich_help_panel="Attack")]
StepSize = Annotated[
    str,
    typer.Option(metavar="N/255", parser=options.distance, help="Length of one step.", rich_help_panel="Attack"),
]
Restarts = Annotated[int, typer.Option(min=1, help="Random starts; the worst one counts.", rich_help_panel="Attack")]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random starts.", rich_help_panel="Attack")]
Classifier = Annotated[
    Literal["attack", "natural", "adversarial"] | None,
    typer.Option(help="Which classifier to ask; the checkpoint's own choice by default.", rich_help_panel="What"),
]
Which = Annotated[
    str,
    typer.Option("--checkpoint", metavar="best|last|STEP", help="Which checkpoint of the run.", rich_help_panel="What"),
]
Data = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Other test images than the run's own.", rich_help_panel="What"),
]
NumExamples = Annotated[int | None, typer.Option(min=1, help="Test images; all by default.", rich_help_panel="What")]
BatchSize = Annotated[int, typer.Option(min=1, help="Images at a time.", rich_help_panel="What")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.", rich_help_panel="What")]
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
    checkpoint: options.Checkpoint,
    eps: Epsilons = ["8/255", "16/255"],  # noqa: B006 (Typer copies it)
    steps: Steps = 10,
    step_size: StepSize = "2/255",
    restarts: Restarts = 1,
    seed: Seed = 0,
    data: Data = None,
    num_examples: NumExamples = None,
    classifier: Classifier = None,
    which: Which = "best",
    batch_size: BatchSize = 250,
    device: Device = "auto",
    json: options.Json = False,
    min_robust_accuracy: MinRobust = None,
) -> int:
    """Measure natural and robust accuracy of a checkpoint on test images, in full precision."""
    from claf_engine.runs import find_checkpoint, runs_root

    path = find_checkpoint(checkpoint, runs_root(), options.which_checkpoint(which))
    from claf_engine.evaluate import EvaluationRequest, evaluation_steps

    request = EvaluationRequest(
        checkpoint=path,
        epsilons=tuple(dict.fromkeys(parse_distance(item) for item in eps)),
        steps=steps,
        step_size=parse_distance(step_size),
        restarts=restarts,
        num_examples=num_examples,
        data=data,
        classifier=classifier,
        batch_size=batch_size,
        seed=seed,
        device=device,
    )
    record = output.follow(evaluation_steps(request)).to_record()
    if json:
        output.record(record)
    else:
        from claf_tui import reports

        output.show(*reports.evaluation_tables(record))
        output.note("an attack gives an upper bound: a stronger one can only lower robust accuracy")
    return exit_codes.OK if min_robust_accuracy is None else verdict(record, min_robust_accuracy)


def verdict(record: Mapping[str, Any], required: float) -> int:
    """Compare the lowest robust accuracy with what was required, and say when it falls short."""
    worst = min(record["robust"], key=lambda item: float(item["robust_accuracy"]))
    if worst["robust_accuracy"] >= required:
        return exit_codes.OK
    output.error(
        f"robust accuracy at {worst['epsilon']} is {worst['robust_accuracy']:.4f}, "
        f"below the required {required:g} (--min-robust-accuracy)"
    )
    return exit_codes.NOT_ROBUST_ENOUGH
