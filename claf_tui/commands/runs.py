"""`claf-tui runs`, with `note`, `tag`, `archive` and `delete`; and `claf-tui` alone, which opens the list."""

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, get_args

import typer

from claf_engine.terms.errors import ConfigError, RunError
from claf_tui.commands import completion, options
from claf_tui.reports import output
from claf_tui.words import exit_codes
from claf_tui.words.safe_text import safe

if TYPE_CHECKING:
    from claf_engine.runs import RunSummary
    from claf_engine.runs.overview import Overview

MAX_NOTICES = 10
"""Runs of which it is said in a sentence that their status is damaged."""

app = typer.Typer(
    help="List the runs, newest first, with where they are or how they ended; write about them, put them away, delete "
    "them. `claf-tui` alone shows the list in the console.",
    invoke_without_command=True,
)

Filter = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="FILTER",
        help="Only runs that fit, as / in the console: words, method:claf, state:live, data:, tag:, robust>40, age<2d, "
        "!word, a|b.",
        show_default=False,
    ),
]
Sort = Annotated[
    str | None,
    typer.Option(
        "--sort",
        metavar="COLUMN",
        help="By age, state, name, method, data, progress, natural or robust; -robust turns it round.",
        show_default=False,
    ),
]
Archived = Annotated[bool, typer.Option("--archived", help="Also runs that were put away.")]
Text = Annotated[
    str | None, typer.Argument(metavar="[TEXT]", help="The note; '' removes it, without it it is printed.")
]
Tags = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TAG]...",
        help="Tags to add; without any they are printed.",
        autocompletion=completion.complete_tags,
    ),
]
Remove = Annotated[bool, typer.Option("--remove", help="Take these tags away instead.")]
Undo = Annotated[bool, typer.Option("--undo", help="Take it back into the list.")]
Yes = Annotated[bool, typer.Option("--yes", help="Delete without asking; needed where there is no terminal to ask in.")]
ARun = Annotated[
    str,
    typer.Argument(metavar="RUN", help="A run: its folder, its name, or latest.", autocompletion=options.complete_runs),
]


def browse() -> int:
    """Show the list of runs in the console."""
    from claf_engine.runs import runs_root
    from claf_tui.runners.runs import browse_runs

    return browse_runs(runs_root())


@app.callback()
def runs(  # noqa: PLR0913 (Typer declares one parameter per option)
    context: typer.Context,
    last: options.Last = None,
    wanted: Filter = None,
    sort: Sort = None,
    archived: Archived = False,
    json: options.Json = False,
) -> int | None:
    """List the runs, newest first, with where they are or how they ended."""
    if context.invoked_subcommand is not None:
        return None
    from claf_engine.evaluation.cards import standing_of_run
    from claf_engine.runs import runs_root
    from claf_engine.runs.collector import collector_at_rest
    from claf_tui.reports import runs as reports

    with collector_at_rest():
        chosen = None if wanted is None and sort is None else _chosen(wanted or "", sort, last, archived=archived)
        found = _newest(last, archived=archived) if chosen is None else _summaries(chosen)
        overviews = {} if chosen is None else {run.name: run for run in chosen}
        standings = {run.name: standing_of_run(run.directory, run.record) for run in found}
        for notice in [run.notice for run in found if run.notice][:MAX_NOTICES]:
            output.note(notice)
        if json:
            output.records(reports.run_records(found, standings, overviews))
        elif found:
            output.show(reports.runs_table(found, standings, overviews=overviews))
        elif chosen is not None:
            output.note(f"no run in {runs_root()} fits; `claf-tui runs` lists all")
        else:
            output.note(f"there are no runs in {runs_root()} yet; `claf-tui train` starts one")
    return exit_codes.OK


@app.command()
def note(run: ARun, text: Text = None) -> int:
    """Write a note about a run, or print the one there is."""
    from claf_engine.runs import find_run, runs_root
    from claf_engine.runs.labels import read_labels, write_labels

    directory = find_run(run, runs_root())
    labels, _ = read_labels(directory)
    if text is None:
        output.text("\n".join(safe(line, 2000) for line in labels.note.splitlines()))
    else:
        write_labels(directory, replace(labels, note=text))
    return exit_codes.OK


@app.command()
def tag(run: ARun, tags: Tags = None, remove: Remove = False) -> int:
    """Tag a run, so that a filter finds it, or print the tags it has."""
    from claf_engine.runs import find_run, runs_root
    from claf_engine.runs.labels import read_labels, write_labels

    directory = find_run(run, runs_root())
    labels, _ = read_labels(directory)
    if not tags:
        output.text(" ".join(labels.tags))
        return exit_codes.OK
    if missing := [one for one in tags if remove and one not in labels.tags]:
        raise ConfigError(f"{directory.name} has no tag {missing[0]!r}; it has {' '.join(labels.tags) or 'none'}")
    kept = tuple(one for one in labels.tags if one not in tags)
    write_labels(directory, replace(labels, tags=kept if remove else (*labels.tags, *tags)))
    return exit_codes.OK


@app.command()
def archive(run: ARun, undo: Undo = False) -> int:
    """Put a run away: lists leave it out until --archived or state:archived asks for it. Nothing of it is moved."""
    from claf_engine.runs import find_run, is_live, runs_root
    from claf_engine.runs.labels import read_labels, write_labels

    directory = find_run(run, runs_root())
    if not undo and is_live(directory):
        raise RunError(f"run {directory.name} is live, and a live run is not put away; stop it first")
    labels, _ = read_labels(directory)
    write_labels(directory, replace(labels, is_archived=not undo))
    return exit_codes.OK


@app.command()
def delete(run: ARun, yes: Yes = False) -> int:
    """Delete a run for good: its folder with all checkpoints. Never a live run, nor one of another user."""
    from claf_engine.runs import find_run, runs_root
    from claf_engine.runs.deleting import contents_of, delete_run, refusal_to_delete
    from claf_tui.words.deletion import deletion_text

    directory = find_run(run, runs_root())
    if refusal := refusal_to_delete(directory):
        raise RunError(refusal)
    if not yes:
        if not sys.stdin.isatty():
            raise ConfigError(f"to delete {directory.name} where nobody can be asked, add --yes")
        for line in deletion_text(directory.name, contents_of(directory)).splitlines():
            output.note(line)
        if not typer.confirm("delete for good?", err=True):
            output.note("nothing was deleted")
            return exit_codes.OK
    delete_run(directory)
    output.note(f"deleted {directory}")
    return exit_codes.OK


def _chosen(wanted: str, sort: str | None, last: int | None, *, archived: bool) -> "list[Overview]":
    """The runs that fit a filter, in order.

    Raises:
        ConfigError: the filter or the column is none.
    """
    from claf_engine.runs import runs_root
    from claf_engine.runs.catalogue import Catalogue
    from claf_tui.state.run_filter import parse_filter
    from claf_tui.state.run_order import COLUMNS, Column, Order, ordered

    column, is_reversed = (sort or "age").removeprefix("-"), (sort or "").startswith("-")
    if column not in get_args(Column):
        raise ConfigError(f"--sort: there is no column {column!r}; there are {', '.join(COLUMNS)}")
    chosen = parse_filter(wanted)
    if archived:
        chosen = replace(chosen, shows_archived=True)
    now = time.time()
    found = [run for run in Catalogue.of(runs_root()).look_at_all() if chosen.matches(run, now)]
    order = Order(next(name for name in COLUMNS if name == column), is_reversed)
    return ordered(found, order)[:last]


def _newest(last: int | None, *, archived: bool) -> "list[RunSummary]":
    """The newest runs, all by default; more of them are read where some of these were put away."""
    from claf_engine.runs import list_runs, runs_root

    number = last
    while True:
        listed = list_runs(runs_root(), number)
        found = [run for run in listed if archived or not _is_archived(run.directory)]
        if last is None or number is None or len(found) >= last or len(listed) < number:
            return found[:last]
        number *= 2


def _summaries(chosen: "Sequence[Overview]") -> "list[RunSummary]":
    """The same runs with all that their status says."""
    from claf_engine.runs import summarise

    return [replace(summarise(run.directory), status=run.status, begun=run.digest.begun) for run in chosen]


def _is_archived(directory: Path) -> bool:
    from claf_engine.runs.labels import read_labels

    return read_labels(directory)[0].is_archived
