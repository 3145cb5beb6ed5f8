"""What is done with the file of a checkpoint: its hashes are verified, its network is exported."""

import shlex
from collections.abc import Iterator
from pathlib import Path

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.content import Content
from textual.message import Message
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input, Label, Static
from textual.worker import get_current_worker

from claf_engine.events.ticks import Pulse
from claf_engine.runs.header import CheckpointInfo
from claf_engine.runs.verifying import Comparison, Verification, verify_steps
from claf_engine.terms.errors import ClafError
from claf_tui.screens.checkpoints.steps_thread import play_steps
from claf_tui.screens.form_dialog import FormScreen
from claf_tui.widgets.glyphs import bar
from claf_tui.words import figures
from claf_tui.words.safe_text import safe

SUFFIX = ".safetensors"
HASH_SHOWN = 24
"""Digits of a hash that is shown beside another."""


class VerifyDialog(ModalScreen[None]):
    """Hashes a checkpoint anew and says whether it is what was written."""

    BINDINGS = [Binding("escape,h,q,enter", "dismiss(None)", "close")]

    class Told(Message):
        """A pulse, the outcome, or a sentence on what went wrong."""

        def __init__(self, what: Pulse | Verification | str) -> None:
            super().__init__()
            self.what = what

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def compose(self) -> ComposeResult:
        """Lay out the dialog."""
        with Vertical(classes="dialog") as dialog:
            dialog.border_title = Content(safe(f"verify {self._path.name}", 60))
            yield Static(Content("hashing"), id="verification")
            yield Static(Content.styled("\nescape closes", "$foreground 60%"))

    def on_mount(self) -> None:
        """Begin."""
        self._verify()

    @work(thread=True, exclusive=True)
    def _verify(self) -> None:
        def tell(pulse: Pulse) -> None:
            self.post_message(self.Told(pulse))

        try:
            found = play_steps(verify_steps(self._path), get_current_worker(), tell)
        except ClafError as error:
            self.post_message(self.Told(str(error)))
            return
        if found is not None:
            self.post_message(self.Told(found))

    def on_verify_dialog_told(self, event: Told) -> None:
        """Show how far it is, or what came of it."""
        match event.what:
            case Pulse() as pulse:
                text = Content.assemble(bar(pulse.fraction, 30), f"  {figures.size(pulse.done)}")
            case Verification() as found:
                text = Content("\n").join(verification_lines(found))
            case sentence:
                text = Content.styled(safe(sentence, 400), "$error")
        self.query_one("#verification", Static).update(text)


def verification_lines(found: Verification) -> list[Content]:
    """Say whether the hashes agree, with the hashes."""
    if found.is_whole:
        head = Content.styled(f"✔ nothing was altered: {figures.size(found.num_bytes)} hashed anew", "bold $success")
    elif not (found.weights.stated and found.whole.stated):
        head = Content.styled("! the file does not state both hashes: another program wrote it", "bold $warning")
    else:
        head = Content.styled("✘ altered or damaged: use another checkpoint of the run", "bold $error")
    return [head, Content(""), *_lines("weights", found.weights), *_lines("whole file", found.whole)]


def _lines(name: str, compared: Comparison) -> list[Content]:
    sign, style = ("✔", "$success") if compared.agrees else ("✘", "$error")
    lines = [Content.assemble((f"{sign} {name:<10} ", style), (f"{compared.found[:HASH_SHOWN]}…", "$foreground"))]
    if not compared.agrees:
        stated = safe(compared.stated, HASH_SHOWN) or "nothing"
        lines.append(Content.styled(f"  {'header':<10} {stated}", "$foreground 60%"))
    return lines


class ExportDialog(FormScreen[Path]):
    """Asks for the file that a network is copied to; ends with one that is not there yet, or with None."""

    HEADING = "export the network"
    APPLY = "export"

    def __init__(self, info: CheckpointInfo) -> None:
        super().__init__()
        self._proposed = f"{proposed_name(info)}{SUFFIX}"

    def fields(self) -> Iterator[Widget]:
        """Lay out the field."""
        yield Static(Content("Weights and buffers of the network alone, as safetensors; no optimiser."))
        yield Label(safe(f"file, in {Path.cwd()} unless a folder is named", 200), markup=False)
        yield Input(self._proposed, id="export-file", compact=True)

    def read(self) -> Path:
        """The file.

        Raises:
            ValueError: with a sentence for the form.
        """
        return export_target(self.query_one("#export-file", Input).value)


def proposed_name(info: CheckpointInfo) -> str:
    """A name for the exported file that tells run and step."""
    run = "".join(char if char.isascii() and (char.isalnum() or char in "._-") else "-" for char in info.run[:60])
    return f"{run.strip('.-') or 'run'}-step-{info.step}"


def export_target(text: str) -> Path:
    """The file that was typed.

    Raises:
        ValueError: with a sentence on why nothing can be written there.
    """
    try:
        path = Path(text.strip()).expanduser().absolute()
    except RuntimeError as error:
        raise ValueError("there is no such person's folder") from error
    if path.suffix != SUFFIX:
        raise ValueError(f"name a file that ends in {SUFFIX}")
    if path.exists() or path.is_symlink():
        raise ValueError("this file is there already: name another")
    if not path.parent.is_dir():
        raise ValueError(safe(f"there is no folder {path.parent}", 200))
    return path


def exported_text(path: Path, num_bytes: int) -> str:
    """Say what was written."""
    return f"exported {figures.size(num_bytes)} to {shlex.quote(str(path))}"
