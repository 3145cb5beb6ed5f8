import json
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from claf_engine.audits.bench import Outcome, Recipe
from claf_engine.audits.store import Store
from claf_engine.events.audit import DiagnosticFound
from claf_engine.terms.errors import RunError

OUTCOME = Outcome("PGD-10 at 8/255", torch.tensor([True, False]), True, 0.1, 0.05, Recipe("pgd", "8/255", steps=10))
BARE = Outcome("no attack", torch.tensor([True, True]), True, 0.0, 0.0)
DIAGNOSTIC = DiagnosticFound("epsilon-zero", "title", "passes", "0", "0", "meaning", "source", {"a": [1, None]}, 0.5)


def same(first: Outcome, second: Outcome) -> bool:
    """Whether two outcomes are equal, which tensors do not say of themselves."""
    plain = [{name: value for name, value in vars(item).items() if name != "survives"} for item in (first, second)]
    return plain[0] == plain[1] and torch.equal(first.survives, second.survives)


def test_what_was_kept_is_there_again(tmp_path: Path) -> None:
    store = Store(tmp_path / "new" / "state.json", "key")
    store.keep_outcome(OUTCOME)
    store.keep_outcome(BARE)
    store.keep_diagnostic(DIAGNOSTIC)
    again = Store(tmp_path / "new" / "state.json", "key")
    assert all(map(same, again.outcomes, (OUTCOME, BARE)))
    assert again.diagnostics == [DIAGNOSTIC]
    assert again.notice.startswith("went on from what ")


def test_at_the_first_time_there_is_nothing_to_tell(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.json", "key")
    assert (store.outcomes, store.diagnostics, store.notice) == ([], [], "")


def test_a_state_of_something_else_is_begun_anew_and_told(tmp_path: Path) -> None:
    Store(tmp_path / "state.json", "key").keep_outcome(OUTCOME)
    other = Store(tmp_path / "state.json", "other key")
    assert other.outcomes == []
    assert "held an audit of other images, settings or versions" in other.notice


@pytest.mark.parametrize("change", ["outcomes", "diagnostics", "whole"])
def test_a_damaged_state_is_begun_anew_and_told(tmp_path: Path, change: str) -> None:
    path = tmp_path / "state.json"
    Store(path, "key").keep_outcome(OUTCOME)
    record = json.loads(path.read_bytes())
    path.write_text("[" if change == "whole" else json.dumps({**record, change: [{"label": 3}]}))
    store = Store(path, "key")
    assert (store.outcomes, store.diagnostics) == ([], [])
    assert store.notice == f"began anew: {path} is damaged"


def test_without_a_file_nothing_is_kept() -> None:
    store = Store(None, "key")
    store.keep_outcome(OUTCOME)
    assert store.outcomes == [OUTCOME]


def test_a_state_that_cannot_be_written_ends_the_audit_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RunError, match="cannot write .*state.json: .*; make room and audit again"):
        Store(tmp_path / "file" / "state.json", "key").keep_outcome(OUTCOME)


STATE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@given(st.fixed_dictionaries({"outcomes": STATE, "diagnostics": STATE}))
def test_no_state_gets_an_error_out_of_the_store(
    tmp_path_factory: pytest.TempPathFactory, content: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("audit") / "state.json"
    path.write_text(json.dumps({"format": 1, "key": "key", **content}))
    assert Store(path, "key").notice.startswith(("began anew", "went on"))


@pytest.mark.parametrize(
    ("name", "value"), [("label", 3), ("is_in_ball", "yes"), ("mean_distance", [1]), ("recipe", 5)]
)
def test_an_outcome_of_wrong_types_is_damage(tmp_path: Path, name: str, value: object) -> None:
    path = tmp_path / "state.json"
    Store(path, "key").keep_outcome(OUTCOME)
    record = json.loads(path.read_bytes())
    assert Store(path, "key").outcomes
    record["outcomes"][0][name] = value
    path.write_text(json.dumps(record))
    assert Store(path, "key").notice == f"began anew: {path} is damaged"
