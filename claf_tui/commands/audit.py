"""`claf-tui audit`."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import BudgetName, SpaceName
from claf_engine.terms.pixels import parse_distance
from claf_tui.commands import completion, options

Budget = Annotated[
    BudgetName,
    typer.Option(help="quick: a minute on two cores; standard: about an hour; full: a night.", rich_help_panel="How"),
]
Epsilon = Annotated[
    str,
    typer.Option(
        "--eps", metavar="N/255", parser=options.distance, help="Linf radius of the claim.", rich_help_panel="How"
    ),
]
Space = Annotated[
    SpaceName | None,
    typer.Option(
        help="What the claim is about: pixel, or the paper's released-code; by default what the run reported.",
        rich_help_panel="How",
    ),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the random starts.", rich_help_panel="How")]
Surrogate = Annotated[
    str | None,
    typer.Option(
        metavar="RUN|CHECKPOINT",
        help="A second model for transfer attacks; by default an earlier checkpoint of the run, or one trained here.",
        autocompletion=completion.complete_checkpoints,
        rich_help_panel="How",
    ),
]
Defence = Annotated[
    str | None,
    typer.Option(
        metavar="DEFENCE",
        help="Audit the classifier behind this defence, as eval --defence names it, against attackers who know of it.",
        rich_help_panel="What",
    ),
]
NumExamples = Annotated[
    int | None,
    typer.Option(min=1, help="Test images; by default what the budget affords.", rich_help_panel="What"),
]
Ui = Annotated[
    Literal["auto", "tui", "plain", "jsonl"],
    typer.Option(
        help="Live console, lines, or events as JSON lines; auto: the console in a terminal.", rich_help_panel="How"
    ),
]


def audit(  # noqa: PLR0913 (Typer declares one parameter per option)
    checkpoint: options.CheckpointOrModel = None,
    budget: Budget = "quick",
    eps: Epsilon = "8/255",
    space: Space = None,
    num_examples: NumExamples = None,
    data: options.TestData = None,
    classifier: options.Classifier = None,
    which: options.Which = "best",
    surrogate: Surrogate = None,
    seed: Seed = 0,
    defence: Defence = None,
    device: options.Device = "auto",
    json: options.Json = False,
    accept_changed_data: options.AcceptChangedData = False,
    ui: Ui = "auto",
    plugin: options.Plugins = None,
    model: options.Model = None,
    weights: options.Weights = None,
    out: options.Out = None,
) -> int:
    """Ask whether a robustness figure can be believed: diagnostics, the worst case over everything run, and a card.

    Exits with 8 when a diagnostic fails. An interrupted audit goes on where it was when the same command is given.
    """
    from claf_engine.config.launch import Launch

    Launch.from_environment().require_single("claf-tui audit")
    if json and ui in {"tui", "jsonl"}:
        raise ConfigError(f"--json prints the finished audit and cannot be combined with --ui {ui}; leave one out")
    options.load_plugins(plugin, data)
    source = options.model_source(checkpoint, model, weights, out)
    from claf_engine.runs import find_checkpoint, runs_root

    root = runs_root()

    def chosen(checkpoint: str | None) -> Path:
        if checkpoint is None:
            assert source is not None, "one of the two is named"
            return source.place
        return find_checkpoint(checkpoint, root, options.which_checkpoint(which))

    def files() -> tuple[Path, Path | None]:
        path = chosen(checkpoint)
        return path, None if surrogate is None else find_checkpoint(surrogate, root)

    path, second = files()
    from claf_engine.audits.request import AuditRequest
    from claf_engine.evaluation.defences import parse_defence
    from claf_tui.runners import audit as runner

    request = AuditRequest(
        checkpoint=path,
        budget=budget,
        epsilon=parse_distance(eps),
        space=space,
        num_examples=num_examples,
        data=data,
        classifier=classifier,
        surrogate=second,
        seed=seed,
        device=device,
        command=tuple(sys.argv),
        accepts_changed_data=accept_changed_data,
        source=source,
        defence=None if defence is None else parse_defence(defence),
    )

    def choose(asked: AuditRequest) -> AuditRequest:
        path, second = files()
        return replace(asked, checkpoint=path, surrogate=second)

    return runner.run(request, choose, ui, as_json=json)
