from claf_engine.runs.deleting import Contents
from claf_tui.screens.confirm_dialog import ConfirmScreen
from claf_tui.screens.runs.dialogs import deletion_question
from tests.engine.runs.listed import listed


def test_the_question_names_the_run_and_what_would_go() -> None:
    question = deletion_question(listed(), Contents(5 * 2**20, 3, ()))
    assert isinstance(question, ConfirmScreen)
    assert "demo\n5.0 MiB, 3 checkpoints" in question._text
