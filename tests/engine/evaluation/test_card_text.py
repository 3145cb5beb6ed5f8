from typing import Any

from claf_engine.evaluation.card_text import as_markdown, tally, worst_sentence
from tests.engine.evaluation.test_cards import card
from tests.tui.hostile import EVERYTHING


def diagnostic(name: str, verdict: str) -> dict[str, Any]:
    texts = {"title": f"title of {name}", "figure": "9 points", "threshold": "1 point", "source": "a paper"}
    return {"name": name, "verdict": verdict, **texts, "meaning": f"meaning of {name}"}


def attack(**changes: Any) -> dict[str, Any]:
    settings = {"space": "pixel", "epsilon": "8/255", "steps": 10, "step_size": "2/255", "restarts": 1}
    figures = {"robust_accuracy": 0.5, "largest_distance": 8 / 255, "mean_distance": 4 / 255, "counts": True}
    return {"label": "PGD-10", "precision": "fp32", **settings, **figures, **changes}


def test_the_worst_case_is_told_with_its_interval_and_the_number_of_images() -> None:
    assert worst_sentence(card()) == (
        "Robust accuracy at 8/255 (linf, pixel space): 50.0 % (95 % interval 40.0 to 60.0), worst case per example "
        "over 2 attacks on 100 test images; natural accuracy 50.0 % (95 % interval 40.0 to 60.0)."
    )


def test_a_worst_case_that_any_point_decides_says_so() -> None:
    decided = worst_sentence(card(worst_case={**card()["worst_case"], "decides": "any"}))
    assert "over 2 attacks, any point of which decides, on 100 test images" in decided
    assert worst_sentence(card(worst_case={**card()["worst_case"], "decides": "last"})) == worst_sentence(card())


def test_what_was_not_run_is_counted_and_named_apart() -> None:
    found = [
        diagnostic("a", "passes"),
        diagnostic("b", "not-run"),
        diagnostic("c", "fails"),
        diagnostic("d", "not-run"),
    ]
    assert tally(found) == "1 passes, 1 fails, 2 not run (b, d)"


def test_only_what_does_not_pass_is_explained() -> None:
    text = as_markdown(card(diagnostics=[diagnostic("a", "passes"), diagnostic("b", "warns")]))
    assert "meaning of b" in text
    assert "meaning of a" not in text
    assert "title of a" in text


def test_a_setting_an_attack_lacks_is_a_dash_and_what_left_the_ball_does_not_count() -> None:
    text = as_markdown(card(attacks=[attack(), attack(label="noise", steps=None, counts=False)]))
    assert "| PGD-10 | pixel | 8/255 | 10 | 2/255 | 1 | fp32 | 50.0 | 8.0/255, mean 4.0/255 | yes |" in text
    assert "| noise | pixel | 8/255 | – | 2/255 | 1 | fp32 | 50.0 | 8.0/255, mean 4.0/255 | no |" in text


def test_a_card_without_diagnostics_says_that_none_were_run() -> None:
    text = as_markdown(card(verdict="not-run"))
    assert "no diagnostics were run" in text
    assert "Audit" not in text.split("\n## ")[0]


def test_a_card_of_no_ball_says_so_at_the_top() -> None:
    worst = {**card()["worst_case"], "is_epsilon_ball": False}
    assert "**not** accuracy in an epsilon-ball" in as_markdown(card(worst_case=worst)).split("\n## ")[0]


def test_foreign_text_breaks_neither_the_page_nor_its_tables() -> None:
    hostile = dict.fromkeys(("run", "checkpoint", "data", "command", "device"), EVERYTHING)
    dirty = card(**hostile, attacks=[attack(label=EVERYTHING)], notices=[EVERYTHING])
    text = as_markdown(dirty)
    assert all(char.isprintable() or char == "\n" for char in text)
    (row,) = [line for line in text.splitlines() if "| pixel | 8/255 |" in line]
    assert row.count("|") == 11
