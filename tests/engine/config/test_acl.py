import pytest
from pydantic import ValidationError

from claf_engine.config.acl import AclConfig, batch_norm_notices


def test_statistics_are_chosen_between_two_streams_alone() -> None:
    with pytest.raises(ValidationError, match=r"chooses between the two of acl.streams = 'dual'"):
        AclConfig(streams="adversarial", measured_statistics="natural")


@pytest.mark.parametrize(
    ("config", "beginning"),
    [
        (AclConfig(), "measured with the BatchNorm of attacked views"),
        (AclConfig(measured_statistics="natural"), "measured with the BatchNorm of natural views"),
        (AclConfig(streams="standard"), "measured with the one BatchNorm of the network, which saw natural views"),
        (AclConfig(streams="adversarial"), "measured with the one BatchNorm of the network, which saw attacked views"),
    ],
)
def test_the_batch_norm_that_measures_is_named(config: AclConfig, beginning: str) -> None:
    (sentence,) = batch_norm_notices("acl", config)
    assert sentence.startswith(beginning)


def test_other_methods_have_no_choice_to_tell_of() -> None:
    assert batch_norm_notices("rocl", AclConfig()) == ()
