import pytest

from claf_tui.widgets.card_sections import attack_lines, diagnostic_lines, head_lines, provenance_lines
from tests.tui.hostile import EVERYTHING
from tests.tui.scripted_audit import DETECTOR, attack, card
from tests.tui.widgets.folded import plain

SECTIONS = (head_lines, diagnostic_lines, attack_lines, provenance_lines)
ODD = (
    {},
    {"attacks": [3], "diagnostics": {}, "notices": 3, "versions": [], "natural": 1, "worst_case": [], "run": {}},
    card(diagnostics=[{"verdict": []}], attacks=[{}], seconds="x", device=["cpu"]),
    card(run=EVERYTHING, command=EVERYTHING, diagnostics=[{"title": EVERYTHING, "verdict": EVERYTHING}]),
)


@pytest.mark.parametrize("width", [34, 67, 77])
@pytest.mark.parametrize("made", [card(), *ODD])
def test_every_part_fits_whatever_another_program_wrote(made: dict[str, object], width: int) -> None:
    for section in SECTIONS:
        lines = section(made, width)
        assert all(line.cell_length <= width for line in lines)
        assert all(line.plain.isprintable() for line in lines)


def test_the_gravest_diagnostics_come_first_and_say_what_they_mean() -> None:
    lines = plain(diagnostic_lines(card(), 77))
    assert lines[0].startswith(" ✘ An attack without gradients")
    assert "hides its gradient" in lines[1]
    assert lines[-1].startswith(" ✔")


def test_a_card_without_diagnostics_says_so() -> None:
    evaluated = card(kind="evaluation", verdict="not-run", diagnostics=[])
    assert "none were run" in plain(diagnostic_lines(evaluated, 77))[0]
    assert "NOT AUDITED" in plain(head_lines(evaluated, 100))[0]


def test_attacks_outside_the_ball_come_last_and_are_not_counted() -> None:
    lines = plain(attack_lines(card(), 77))
    assert "Square" in lines[1]
    divide = next(index for index, line in enumerate(lines) if "not counted" in line)
    assert all("16/255" in line or "64/255" in line for line in lines[divide + 1 :])


def test_a_card_without_a_ball_warns_in_its_head() -> None:
    made = card(space="released-code", attacks=[attack("PGD-10", "8/255", 0.6, largest_distance=115 / 255)])
    assert "! released-code: not an ε-ball, moved up to 115/255" in [
        line.strip() for line in plain(head_lines(made, 90))
    ]


def test_hashes_are_shown_to_their_end() -> None:
    text = "".join(line[13:] for line in plain(provenance_lines(card(weights_sha256="ab" * 32), 40)))
    assert "ab" * 32 in text


def test_a_detector_beside_the_classifier_is_told_below_the_attacks() -> None:
    lines = plain(attack_lines(card(detector=DETECTOR), 77))
    at = lines.index(" detector")
    assert lines[at + 1].startswith("   squeezing:median:2 rejects scores above 1.14")
    assert any("8/255, adaptive: of 60 images" in line for line in lines[at:])
    assert plain(attack_lines(card(detector={"detector": EVERYTHING}), 77))[-1].strip().startswith("what the detector")
