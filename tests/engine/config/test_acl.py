import pytest
from pydantic import ValidationError

from claf_engine.config.acl import AclConfig, batch_norm_notices


def test_statistics_are_chosen_between_two_streams_alone() -> None:
    with pytest.raises(ValidationError, match=r"chooses between the two of acl.streams = 'dual'"):
        AclConfig(streams="adversarial", measured_statistics="natural")


@pytest.mark.parametrize(
    ("config", "beginning"),
    [
        (AclConfig(), "the BatchNorm that measures is that of attacked views"),
        (AclConfig(measured_statistics="natural"), "the BatchNorm that measures is that of natural views"),
        (AclConfig(streams="standard"), "the BatchNorm that measures has seen natural views"),
        (AclConfig(streams="adversarial"), "the BatchNorm that measures has seen attacked views"),
    ],
)
def test_the_batch_norm_that_measures_is_named(config: AclConfig, beginning: str) -> None:
    (sentence,) = batch_norm_notices("acl", config)
    assert sentence.startswith(beginning)


def test_other_methods_have_no_choice_to_tell_of() -> None:
    assert batch_norm_notices("rocl", AclConfig()) == ()
