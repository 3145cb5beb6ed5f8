import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from claf_engine.config.plugins import load_plugin
from claf_engine.config.registry import DATA, METHODS
from claf_engine.terms.errors import ConfigError
from tests.plugins import plugin_file, registries_restored

REGISTERS = """
    from dataclasses import dataclass
    from claf_engine.config.registry import METHODS

    @dataclass
    class Weight:
        value: "float" = 1.0

    METHODS.add("mine", lambda config: Weight())
"""


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


def complaint(path: Path) -> str:
    with pytest.raises(ConfigError) as refusal:
        load_plugin(path)
    return str(refusal.value)


def test_a_plugin_registers_and_is_known_by_its_path_and_the_hash_of_its_text(tmp_path: Path) -> None:
    path = plugin_file(tmp_path, REGISTERS)
    loaded = load_plugin(path)
    assert loaded.registered == ("method mine",)
    assert (loaded.plugin.path, loaded.plugin.sha256) == (path, hashlib.sha256(path.read_bytes()).hexdigest())
    assert METHODS.entries["mine"].plugin == loaded.plugin


def test_a_plugin_may_define_what_looks_up_its_own_module(tmp_path: Path) -> None:
    load_plugin(plugin_file(tmp_path, REGISTERS))
    assert METHODS.entries["mine"].value(None).value == 1.0


def test_a_plugin_can_be_loaded_twice(tmp_path: Path) -> None:
    path = plugin_file(tmp_path, REGISTERS)
    assert load_plugin(path) == load_plugin(path)


def test_a_plugin_is_the_same_by_another_way_to_its_file(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    path = plugin_file(tmp_path, REGISTERS)
    assert load_plugin(path) == load_plugin(tmp_path / "below" / ".." / "my.py")


def test_a_plugin_that_was_edited_is_loaded_anew(tmp_path: Path) -> None:
    load_plugin(plugin_file(tmp_path, REGISTERS))
    loaded = load_plugin(plugin_file(tmp_path, REGISTERS.replace("mine", "other")))
    assert loaded.registered == ("method other",)
    assert "mine" not in METHODS.entries


def test_a_plugin_that_registers_nothing_says_so(tmp_path: Path) -> None:
    assert load_plugin(plugin_file(tmp_path, "x = 1")).registered == ()


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "none.py"
    assert complaint(path) == f"cannot read the plugin {path}: No such file or directory"


def test_a_file_that_is_no_python_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "my.toml"
    assert complaint(path) == f"{path} is no plugin: a plugin is a Python file, whose name ends in .py"


def test_a_plugin_that_raises_is_told_with_class_and_line(tmp_path: Path) -> None:
    path = plugin_file(tmp_path, "def f():\n    return {}['a']\n\nf()\n")
    assert complaint(path) == f"the plugin {path} cannot be loaded: KeyError in line 2: 'a'"


def test_a_plugin_that_is_no_python_is_told_with_its_line(tmp_path: Path) -> None:
    path = plugin_file(tmp_path, "x = 1\ndef f(:\n")
    assert complaint(path).startswith(f"the plugin {path} cannot be loaded: SyntaxError in line 2: ")


def test_a_plugin_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "my.py"
    path.write_bytes(b"\x00\xff")
    assert complaint(path).startswith(f"the plugin {path} cannot be loaded: ")


def test_a_plugin_that_leaves_the_program_does_not_leave_it(tmp_path: Path) -> None:
    path = plugin_file(tmp_path, "import sys\nsys.exit(7)\n")
    assert complaint(path) == f"the plugin {path} cannot be loaded: SystemExit in line 2: 7"


def test_a_plugin_that_fails_halfway_registers_nothing(tmp_path: Path) -> None:
    complaint(plugin_file(tmp_path, 'from claf_engine.config.registry import DATA\nDATA.add("mine", print)\n1 / 0\n'))
    assert "mine" not in DATA.entries


def test_a_name_that_is_taken_is_told_with_the_line_that_asks_for_it(tmp_path: Path) -> None:
    path = plugin_file(tmp_path, 'from claf_engine.config.registry import METHODS\nMETHODS.add("at", print)\n')
    assert "ConfigError in line 2: the method 'at' is one of our own; register yours" in complaint(path)
