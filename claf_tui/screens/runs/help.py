"""The help page of the list of runs."""

from claf_tui.screens.help import FIGURES, FigureTexts, HelpScreen, KeyTopics

RUNS_KEYS: KeyTopics = (
    (
        "A run",
        (
            ("enter", "open it: the dashboard, with control of a live run of yours; esc leads back (double click too)"),
            ("b", "its checkpoints"),
            ("r", "resume it from its newest checkpoint, when it is not live"),
            ("n, t", "write a note, tag it; as claf-tui runs note and claf-tui runs tag do"),
            ("a", "put it away, or take it back: all that are marked, or this one (claf-tui runs archive)"),
            ("d, delete", "delete it for good; asks first (claf-tui runs delete)"),
            ("N", "put a new run together in a form, and train it"),
        ),
    ),
    (
        "The list",
        (
            ("up, down", "choose; page up/down, home and end go further"),
            ("/", "filter; enter goes on in the list, escape takes the filter back"),
            ("s, S", "sort by the next column; the other way round. A click on a heading does too"),
            ("space", "mark"),
            ("c", "compare the marked runs"),
            ("A", "acknowledge the alert that is shown, of a run that has fallen silent"),
            ("escape", "take back the filter, then the marks"),
            ("q, ctrl+c", "leave; runs go on"),
            ("ctrl+p", "all commands, themes, screenshot"),
            ("?", "this page"),
        ),
    ),
    (
        "Filter",
        (
            ("word", 'in the name, a tag or the note; "two words" in quotes'),
            ("method:claf", "also data:, tag:, name:, note:; * stands for anything in a method or tag"),
            ("state:live", "or paused, finished, interrupted, stopped, diverged, failed, imported, archived"),
            ("robust>40", "percent; also natural>=80, step<1000, with < <= > >= = !="),
            ("age<2d", "s, m, h, d or w"),
            ("!tag:old", "not; so does -tag:old"),
            ("claf|at", "one of them; method:claf|at too"),
        ),
    ),
)
RUNS_FIGURES: FigureTexts = (
    (
        "robust",
        "Of the selected test result; of a run without one the best probe of the classifier that was probed last, on "
        "validation images.",
    ),
    ("trend", "The robust accuracies of those probes, from the lowest to the highest of them."),
    (
        "interrupted",
        "The run says that it goes on, but its process is gone: nobody holds its lock, or, on another machine, it has "
        "given no sign of life for a minute.",
    ),
    (
        "silent",
        "The run is live and has given no sign of life for longer than the rule no_heartbeat of alerts.toml allows. "
        "You are told once, with a bar, the bell and a message of the terminal.",
    ),
    *FIGURES[:4],
)


class RunsHelp(HelpScreen):
    """Keys of the list of runs, its filter, and what its figures mean."""

    KEYS = RUNS_KEYS
    FIGURES = RUNS_FIGURES
