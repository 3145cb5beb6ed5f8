import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claf_engine.terms.errors import ConfigError
from claf_tui.state.run_filter import STATES, parse_filter
from tests.engine.runs.listed import HOUR, NOW, listed

RUN = listed("20270101-000000-wide-net", tags=("best", "cifar-10"), note="Für das Paper", robust=0.412, step=1200)


def fits(text: str, run: object = RUN) -> bool:
    return parse_filter(text).matches(run, NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", True),
        ("wide", True),
        ("WIDE best", True),
        ("narrow", False),
        ("paper", True),
        ('"das paper"', True),
        ('"das  paper"', False),
        ("method:claf", True),
        ("method:cl", False),
        ("method:cl*", True),
        ("method:at|claf", True),
        ("method:at|scl", False),
        ("method!=at", True),
        ("data:cifar", True),
        ("tag:best", True),
        ("tag:bes", False),
        ("tag:cifar*", True),
        ("name:wide", True),
        ("note:paper", True),
        ("name:paper", False),
        ("state:finished", True),
        ("state:live", False),
        ("robust>40", True),
        ("robust>41.2", False),
        ("robust>=41.2%", True),
        ("robust=41.2", True),
        ("robust!=41.2", False),
        ("natural<80", False),
        ("natural<=80", True),
        ("step>1,000", True),
        ("step>=1.2k", True),
        ("step<1M step<2G", True),
        ("step>1.3K", False),
        ("age<2d", True),
        ("age>1h age<3h", True),
        ("age<90m", False),
        ("!tag:best", False),
        ("-tag:old", True),
        ("!narrow|wide", False),
        ("narrow | wide", True),
        ('narrow|"das paper"', True),
        ("method:at|state:finished", True),
        ('"method:at"', False),
        ("state:live method:claf", False),
    ],
)
def test_a_filter_means_what_it_says(text: str, expected: bool) -> None:
    assert fits(text) is expected


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("robust>", "robust> lacks its value, such as robust>40"),
        ("method:", "method: lacks its value, such as method:claf"),
        ("robust>much", "robust is compared with a number of percent"),
        ("robust>nan", "and 'nan' is none"),
        ("step>ten", "step is compared with a number, such as step>5000 or step>5k, and 'ten' is none"),
        ("step>nan", "and 'nan' is none"),
        ("age<2", "an age is a number of s, m, h, d or w"),
        ("age:2d", "an age is compared with < or >"),
        ("state:alive", "there is no state 'alive': there are live, "),
        ("method>claf", "method is a text: write method:VALUE"),
        ("colour:red", "there is no 'colour': use method, state"),
        ('"open', "a quotation mark is not closed"),
        ("!", "! leaves out what follows it at once"),
        ("- x", "- leaves out what follows it at once"),
        ("a|", "a word or a field is missing"),
        ("|", "a word or a field is missing"),
    ],
)
def test_a_wrong_filter_is_one_sentence_that_says_what_to_write(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_filter(text)
    assert str(caught.value).startswith(sentence) or sentence in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["robust>0", "robust<100", "robust!=3", "natural>=0"])
def test_a_run_without_a_figure_fits_no_comparison_with_it(text: str) -> None:
    run = listed(robust=None, natural=None)
    assert not fits(text, run)
    assert fits(f"!{text}", run)


def test_an_age_that_nothing_tells_fits_nothing() -> None:
    assert not fits("age<9999d", listed(begun=0.0))


def test_live_runs_are_those_that_a_process_trains_in() -> None:
    states = [state for state in STATES if fits("state:live", listed(status=state))]
    assert states == ["live", "paused", "running", "starting", "stopping"][1:]


def test_runs_that_were_put_away_are_shown_where_they_are_asked_for() -> None:
    away = listed(is_archived=True)
    assert [fits(text, away) for text in ("", "state:archived", "state:archived|live", "!state:archived")] == [
        False,
        True,
        True,
        False,
    ]
    assert not fits("state:archived")


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet="ab:<>=!|-\"' %39d.\n\x1b*[", max_size=20))
def test_whatever_is_typed_is_a_filter_or_an_error_of_ours(text: str) -> None:
    try:
        chosen = parse_filter(text)
    except ConfigError:
        return
    assert chosen.matches(RUN, NOW) in {True, False}


def test_ages_count_from_when_a_run_was_begun() -> None:
    assert fits("age>119m age<121m", listed(begun=NOW - 2 * HOUR))
