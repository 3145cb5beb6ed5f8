from claf_engine.runs.deleting import Contents
from claf_tui.words.deletion import deletion_text


def test_size_checkpoints_and_strange_files_are_named() -> None:
    text = deletion_text("a\x1b", Contents(2**30, 1, ("paper.txt", "b\x07", "c", "d")))
    assert text.splitlines() == [
        "a\ufffd",
        "1.0 GiB, 1 checkpoint: they cannot be brought back.",
        "Files that claf-tui did not write go too: paper.txt, b\ufffd, c, …",
    ]
