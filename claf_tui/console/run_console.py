"""What the consoles of a run and of a reproduction have in common: the state of one run, its settings, the machine."""

import socket
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, TextIO

from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.screen import Screen

from claf_engine.compute.machine import Machine
from claf_engine.events.control import Control
from claf_engine.runs import holder, is_live
from claf_engine.runs.settings import settings_of
from claf_tui.console.base import ConsoleApp
from claf_tui.console.bridge import Engine
from claf_tui.screens.settings import SettingsScreen
from claf_tui.state import RunState
from claf_tui.state.machine import SAMPLE_SECONDS, MachineState, whereabouts
from claf_tui.widgets.keys import named


class RunConsole(ConsoleApp):
    """Shows the settings of the run that events last told of, and looks at the machine now and then."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("i", "settings", "settings and machine")]
    BINDINGS = named("app", BINDINGS)

    def __init__(
        self,
        engine: Engine,
        control: Control,
        *,
        read_only: bool = False,
        log_file: TextIO | None = None,
        is_series: bool = True,
    ) -> None:
        super().__init__(engine, control, read_only=read_only, log_file=log_file, is_series=is_series)
        self.state = RunState()
        self._machine = Machine()
        self._looks = MachineState()

    def on_mount(self) -> None:
        """Begin to look at the machine."""
        self.set_interval(SAMPLE_SECONDS, self.look_at_machine)

    @property
    def run_directory(self) -> Path | None:
        """The folder of the run that events last told of."""
        return Path(self.state.run.directory) if self.state.run else None

    def look_at_machine(self) -> None:
        """Look at the machine, and show that where it is to be seen."""
        self._looks = self._looks.heard(self._machine.sample(self.run_directory))
        for screen in self.screen_stack:
            if isinstance(screen, SettingsScreen):
                screen.show(self.state.values, self._looks)

    def action_settings(self) -> None:
        """Show the settings of the run and the machine."""
        run, directory = self.state.run, self.run_directory
        if run is None or directory is None:
            self.notify("no run has begun yet", markup=False, timeout=3)
        elif not isinstance(self.screen, SettingsScreen):
            if self.read_only:
                self._watch_process_of(directory)
            self.look_at_machine()
            settings = settings_of(run.config, directory)
            self.push_screen(SettingsScreen(settings, self.state.values, self._looks))

    def _watch_process_of(self, directory: Path) -> None:
        """Look at the process that trains where it can be seen from here, and else say whose machine this is."""
        found = whereabouts(holder(directory), is_training=is_live(directory), host=socket.gethostname())
        self._machine.watch(found.pid)
        self._looks = replace(self._looks, owner=found.owner, note=found.note)

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Offer the settings where they are not shown yet."""
        yield from super().get_system_commands(screen)
        if self.state.run is not None and not isinstance(screen, SettingsScreen):
            yield SystemCommand("Settings and machine", "what differs from the preset, and loads", self.action_settings)
