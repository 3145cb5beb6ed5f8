from pathlib import Path

import pytest

from claf_engine.config.plugin_names import names_in


def test_names_are_read_and_nothing_is_run(tmp_path: Path) -> None:
    file = tmp_path / "my.py"
    lines = ["raise SystemExit", "register_loss('a')(f)", "@x.register_attack('b', norm='l2')", "def g(): ..."]
    file.write_text("\n".join([*lines, "register_loss(name)"]))
    assert names_in(file, "loss", "method") == ["a"]
    assert names_in(file, "attack") == ["b"]


@pytest.mark.parametrize("text", ["def (", "\0", "(" * 5000])
def test_a_damaged_file_names_nothing(tmp_path: Path, text: str) -> None:
    (tmp_path / "my.py").write_text(text)
    assert names_in(tmp_path / "my.py", "loss") == []
    assert names_in(tmp_path / "nowhere.py", "loss") == []
