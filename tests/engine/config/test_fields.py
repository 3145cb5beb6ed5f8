from typing import get_args

import pytest

from claf_engine.config.fields import SECTIONS, group_summary, groups_for, idle_groups, setting_fields
from claf_engine.config.presets import resolve_config
from claf_engine.runs.folder import flat_settings, to_plain
from claf_engine.terms.names import Method

FIELDS = {field.key: field for field in setting_fields()}


def test_every_setting_is_there() -> None:
    assert {key for key, _ in flat_settings(to_plain(resolve_config("demo")))} <= FIELDS.keys()


@pytest.mark.parametrize(
    ("key", "kind"),
    [
        ("attack.steps", "whole number, at least 0"),
        ("attack.epsilon", "distance such as 8/255"),
        ("data.num_train", "whole number, at least 1"),
        ("fgsm.collapse_drop", "number, at least 0, at most 1"),
        ("objective.label_smoothing", "number, at least 0, less than 1"),
        ("model.blocks", "list of whole numbers"),
        ("probe.epsilons", "list of distance such as 8/255"),
        ("attack.norm", "one of linf, l2, l1"),
        ("union.norms", "list of linf, l2, l1"),
        ("attack.warm_start", "true or false"),
        ("data.source", "text"),
        ("views.crop_scale", "list of numbers"),
    ],
)
def test_a_setting_says_what_it_may_be(key: str, kind: str) -> None:
    assert FIELDS[key].kind == kind


def test_choices_and_unset_values_are_known() -> None:
    assert FIELDS["data.channels"].choices == ("1", "3")
    assert FIELDS["data.channels"].may_be_unset
    assert not FIELDS["attack.norm"].may_be_unset
    assert FIELDS["attack.norm"].is_closed
    assert not FIELDS["data.source"].is_closed


def test_every_method_has_its_groups_first() -> None:
    assert set(SECTIONS) == set(get_args(Method))
    assert groups_for("trades")[:3] == ("", "trades", "supervised")
    assert all(len(groups_for(method)) == len(set(groups_for(method))) for method in SECTIONS)
    assert {len(groups_for(method)) for method in (*SECTIONS, "of-a-plugin")} == {len(groups_for("claf"))}


def test_what_a_method_does_not_read_comes_last() -> None:
    assert "trades" in idle_groups("at")
    assert idle_groups("of-a-plugin") == ()


def test_every_group_says_what_it_is_for() -> None:
    assert all(group_summary(group) for group in groups_for("claf"))
