"""`claf-tui reproduce`."""

import sys
from typing import Annotated, Literal

import typer

from claf_engine.terms.errors import ConfigError
from claf_engine.terms.names import ComputeName, ScaleName, SpaceName, TableName
from claf_tui.commands import options

TABLE = Annotated[
    TableName,
    typer.Argument(
        metavar="TABLE",
        help="table1 to table6, figure1 (Table 1 as bars); robust: our recipe beside AT, TRADES, CLAF; related: the "
        "systems that the paper stands on, each under the attacker who knows it.",
    ),
]
Scale = Annotated[
    ScaleName,
    typer.Option(
        help="paper: ResNet-18 on CIFAR-10, needs a GPU; gpu: the same network on short schedules, minutes a run; "
        "small: hours on two cores; tiny: minutes, on drawn shapes.",
        rich_help_panel="What",
    ),
]
Space = Annotated[
    SpaceName,
    typer.Option(
        help="Where attacks live, in training and in evaluation; released-code is no epsilon-ball.",
        rich_help_panel="What",
    ),
]
Compute = Annotated[
    ComputeName,
    typer.Option(
        help="own: every row trains for its recipe's epochs; equal: for as many as cost the scale's budget.",
        rich_help_panel="What",
    ),
]
AutoAttack = Annotated[
    int | None,
    typer.Option(
        "--autoattack",
        metavar="N",
        min=0,
        help="Test images that AutoAttack is tried on at 8/255; 0 leaves its column out. 500 by default, 20 at tiny.",
        show_default=False,
        rich_help_panel="What",
    ),
]
Rows = Annotated[
    list[str] | None,
    typer.Option(
        "--row",
        metavar="LABEL",
        help="Only this row, such as CLAF; repeat it for several. All rows by default.",
        show_default=False,
        rich_help_panel="What",
    ),
]
Audit = Annotated[
    bool, typer.Option("--audit/--no-audit", help="Audit the network of every row, quickly.", rich_help_panel="What")
]
Seeds = Annotated[int, typer.Option(min=1, help="Runs of each row, with seeds from 0 on.", rich_help_panel="What")]
Data = Annotated[
    str | None, typer.Option(metavar="SOURCE", help="Other images than the scale's own.", rich_help_panel="What")
]
Ui = Annotated[
    Literal["auto", "tui", "plain", "jsonl"],
    typer.Option(help="Live console, lines, or JSON lines; auto: the console in a terminal.", rich_help_panel="Run"),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="List the runs with their estimated time; write nothing.", rich_help_panel="Run"),
]


def reproduce(  # noqa: PLR0913 (Typer declares one parameter per option)
    table: TABLE,
    scale: Scale = "paper",
    space: Space = "pixel",
    seeds: Seeds = 1,
    data: Data = None,
    compute: Compute = "own",
    row: Rows = None,
    autoattack: AutoAttack = None,
    audit: Audit = True,
    values: options.Values = None,
    plugin: options.Plugins = None,
    json: options.Json = False,
    dry_run: DryRun = False,
    ui: Ui = "auto",
) -> int:
    """Reproduce a table of the paper: train what is missing, measure every row on test images, compare.

    Runs of the same settings are reused when they are finished and gone on with when they are not, so that a killed
    reproduction loses nothing but its last minutes. The result lies in the runs folder, under reproductions/.
    """
    from claf_engine.config.launch import Launch

    Launch.from_environment().require_single("claf-tui reproduce")
    if json and ui in {"tui", "jsonl"}:
        raise ConfigError(f"--json prints the finished table and cannot be combined with --ui {ui}; leave one out")
    options.load_plugins(plugin, data, values)
    from claf_engine.reproduce.plan import ReproductionRequest
    from claf_engine.runs import runs_root
    from claf_tui.runners import reproduce as runner

    request = ReproductionRequest(
        table=table,
        root=runs_root(),
        scale=scale,
        space=space,
        seeds=seeds,
        data=data,
        compute=compute,
        rows=tuple(row or ()),
        autoattack=autoattack,
        audit=audit,
        settings=tuple(values or ()),
        command=tuple(sys.argv),
    )
    if dry_run:
        return runner.dry_run(request, as_json=json)
    return runner.run(request, "plain" if json else ui, as_json=json)
