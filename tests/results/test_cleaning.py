from pathlib import Path

import pytest

from results.cleaning import cleaned


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("folder:/home/me/.cache/cifar10-jpeg", "folder:cifar10-jpeg"),
        ("folder:/srv/two words/cats", "folder:cats"),
        ("my_data.py:images", "my_data.py:images"),
        ("/opt/venv/bin/claf-tui train", "claf-tui train"),
        ("cannot read '/tmp/a/b.toml': no such file", "cannot read 'b.toml': no such file"),
        ("~/data/x", "x"),
        (f"{Path.home()}/x", "x"),
        ("10 steps of 2/255 and/or 8/255", "10 steps of 2/255 and/or 8/255"),
        ("a / b", "a / b"),
        ("https://example.org/a/b", "https://example.org/a/b"),
        ("audits/card.json", "audits/card.json"),
    ],
)
def test_of_an_absolute_path_the_last_part_stays_and_nothing_else_changes(text: str, kept: str) -> None:
    assert cleaned(text) == kept


def test_plain_values_are_cleaned_however_deep() -> None:
    assert cleaned({"a": [{"b": "/x/y"}], "n": 1, "none": None}) == {"a": [{"b": "y"}], "n": 1, "none": None}


def test_a_platform_is_named_without_its_build() -> None:
    assert cleaned({"platform": "Linux-6.1-some-build"}) == {"platform": "Linux"}
