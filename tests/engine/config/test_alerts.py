from pathlib import Path

import pytest

from claf_engine.config.alerts import ALERTS_FILE, AlertSettings, masked, read_alerts
from claf_engine.terms.errors import ConfigError
from claf_engine.terms.places import CONFIG_VARIABLE


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file in a person's own folder of settings."""
    monkeypatch.setenv(CONFIG_VARIABLE, str(tmp_path))
    return tmp_path / ALERTS_FILE


def test_without_a_file_all_is_as_by_default(own: Path) -> None:
    assert not own.exists()
    assert read_alerts() == AlertSettings()


def test_the_file_of_a_person_is_found(own: Path) -> None:
    own.write_text('notify = ["tell", "me"]\n[robust_drop]\non = true\npoints = 5\n')
    settings = read_alerts()
    assert settings.notify == ("tell", "me")
    assert (settings.robust_drop.on, settings.robust_drop.points) == (True, 5.0)
    assert settings.stall.on


def test_a_found_file_that_others_may_write_names_no_command(own: Path) -> None:
    own.write_text('notify = ["tell"]')
    own.chmod(0o666)
    with pytest.raises(ConfigError, match="may be written by other users"):
        read_alerts()
    assert read_alerts(own).notify == ("tell",), "the control: one that is named is a person's own choice"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("notify = 3", "notify must be a command"),
        ('notify = "http://example.org/abc"', "notify must be a command"),
        ('notify = "mailto:me"', "notify must be a command"),
        ('notify = [""]', "notify must be a command"),
        ("[disk]\nfree_mib = -1", "disk.free_mib must be greater than 0, not -1"),
        ("[dsk]\non = true", "unknown key dsk"),
        ("[stall]\nseconds = inf", "stall.seconds must be"),
        ("notify = [", "is not valid TOML"),
    ],
)
def test_what_is_wrong_is_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "alerts.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as refused:
        read_alerts(file)
    assert reason in str(refused.value)
    assert "example.org" not in str(refused.value)


def test_a_missing_file_that_was_named_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_alerts(tmp_path / "none.toml")


@pytest.mark.parametrize("address", ["https://hooks.example.org/T000/secret?token=x", "http://127.0.0.1:8000/hook"])
def test_an_address_is_https_or_of_this_machine(tmp_path: Path, address: str) -> None:
    (tmp_path / "alerts.toml").write_text(f'notify = "{address}"')
    assert read_alerts(tmp_path / "alerts.toml").notify == address


@pytest.mark.parametrize(
    ("target", "shown"),
    [
        ("https://user:secret@hooks.example.org/T000/secret?token=secret", "https://hooks.example.org/…"),
        (("/home/me/bin/tell", "--token", "secret"), "tell (and 2 more words)"),
        (("tell",), "tell"),
        ((), ""),
    ],
)
def test_what_may_be_secret_is_not_shown(target: str | tuple[str, ...], shown: str) -> None:
    assert masked(target) == shown
