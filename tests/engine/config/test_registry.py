import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from claf_engine.config import DataConfig, ModelConfig, RunConfig
from claf_engine.config.registry import (
    ATTACKS,
    DATA,
    METHODS,
    MODELS,
    Plugin,
    Registry,
    registered_by,
    registered_plugins,
    registering,
)
from claf_engine.terms.errors import ConfigError
from tests.plugins import registries_restored

MY, OTHER = Plugin(Path("/a/my.py"), "1" * 64), Plugin(Path("/b/other.py"), "2" * 64)


@pytest.fixture(autouse=True)
def _registries_are_put_back() -> Iterator[None]:
    with registries_restored():
        yield


def function(text: str = "") -> Callable[[], str]:
    return lambda: text


def fail_halfway() -> None:
    with registering(MY):
        METHODS.add("mine", function("now"))
        DATA.add("images", function())
        raise KeyError


def test_a_registered_value_stands_under_its_name_with_its_plugin() -> None:
    value = function()
    with registering(MY):
        METHODS.add("mine", value)
    assert (METHODS.entries["mine"].value, METHODS.entries["mine"].plugin) == (value, MY)


@pytest.mark.parametrize("name", ["", "Mine", "1st", "a b", "a:b", "a/b", "-a", "é", "x" * 33, "a\n", "\x1b[31m"])
def test_a_name_that_is_no_plain_word_is_refused_with_what_one_is(name: str) -> None:
    with pytest.raises(ConfigError, match="is no name for a method; use up to 32 small letters, digits, dashes"):
        METHODS.add(name, function())


@pytest.mark.parametrize(
    ("registry", "name"),
    [(METHODS, "claf"), (MODELS, "resnet"), (DATA, "folder"), (ATTACKS, "pgd"), (ATTACKS, "autoattack")],
)
def test_a_name_of_our_own_cannot_be_taken(registry: Registry[object], name: str) -> None:
    with pytest.raises(ConfigError, match=f"'{name}' is one of our own; register yours under another name"):
        registry.add(name, function())


def test_a_name_that_another_plugin_has_taken_is_refused_with_that_plugin() -> None:
    with registering(MY):
        METHODS.add("mine", function())
    with (
        registering(OTHER),
        pytest.raises(ConfigError, match="'mine' is registered already, by plugin my.py; register"),
    ):
        METHODS.add("mine", function())


def test_a_plugin_cannot_register_a_name_twice() -> None:
    with registering(MY):
        METHODS.add("mine", function())
        with pytest.raises(ConfigError, match="registered already, by plugin my.py"):
            METHODS.add("mine", function())


def test_a_plugin_that_is_loaded_again_replaces_what_it_registered() -> None:
    for text in ("then", "now"):
        with registering(MY):
            METHODS.add("mine", function(text))
            METHODS.add(f"only-{text}", function())
    assert METHODS.entries["mine"].value() == "now"
    assert "only-then" not in METHODS.entries


def test_a_plugin_that_fails_leaves_everything_as_it_was() -> None:
    with registering(MY):
        METHODS.add("mine", function("then"))
    with pytest.raises(KeyError):
        fail_halfway()
    assert METHODS.entries["mine"].value() == "then"
    assert "images" not in DATA.entries


def test_a_function_of_a_script_that_is_run_again_replaces_itself() -> None:
    METHODS.add("mine", function("then"))
    METHODS.add("mine", function("now"))
    assert METHODS.entries["mine"].value() == "now"


def test_another_function_of_a_script_cannot_take_its_name() -> None:
    METHODS.add("mine", function())
    with pytest.raises(ConfigError, match=f"'mine' is registered already, by {__name__}"):
        METHODS.add("mine", test_another_function_of_a_script_cannot_take_its_name)


def test_what_is_registered_after_a_plugin_was_loaded_is_not_the_plugin_s() -> None:
    with registering(MY):
        METHODS.add("mine", function())
    METHODS.add("another", function())
    assert METHODS.entries["another"].plugin is None


def test_plugins_and_what_they_register_are_told() -> None:
    for plugin in (MY, OTHER):
        with registering(plugin):
            ATTACKS.add(plugin.path.stem, function())
            METHODS.add(plugin.path.stem, function())
    assert set(registered_plugins()) == {MY, OTHER}
    assert registered_by(MY) == ("method my", "attack my")


def test_a_setting_takes_a_registered_name() -> None:
    for registry in (METHODS, MODELS, DATA):
        registry.add("mine", function())
    config = RunConfig(method="mine", model=ModelConfig(architecture="mine"), data=DataConfig(source="mine:a:b"))
    assert RunConfig.model_validate(config.model_dump(mode="json")) == config
    assert DataConfig(source="mine").source == "mine"


def test_an_unknown_name_is_refused_with_all_that_there_are_and_the_nearest() -> None:
    METHODS.add("margin", function())
    with pytest.raises(ValidationError, match=r"alp, rocl, .*or margin, or give a --plugin .* did you mean margin\?"):
        RunConfig(method="margins")


def test_a_config_of_before_there_were_architectures_is_of_our_own() -> None:
    plain = RunConfig().model_dump(mode="json")
    del plain["model"]["architecture"]
    assert RunConfig.model_validate(plain) == RunConfig()


def test_the_registry_needs_no_torch() -> None:
    code = "import sys, claf_engine.config.plugins; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
