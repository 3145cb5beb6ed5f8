"""What every group of settings is made of: the frozen base and the kinds of values."""

from fractions import Fraction
from functools import partial
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, ValidationInfo

from claf_engine.terms.names import Norm
from claf_engine.terms.pixels import LONGEST, format_distance, parse_distance, require_length

PixelDistance = Annotated[Fraction, BeforeValidator(parse_distance), PlainSerializer(format_distance, return_type=str)]
BallDistance = Annotated[
    Fraction, BeforeValidator(partial(parse_distance, norm=LONGEST)), PlainSerializer(format_distance, return_type=str)
]
"""A distance of an attack with a norm of its own; `fitting` refuses what is too long in that."""
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

LIVE = {"live": True}


def fitting(distances: Fraction | tuple[Fraction, ...], info: ValidationInfo) -> Fraction | tuple[Fraction, ...]:
    """Give the distances of a setting back, if the norm that stands before it can have them.

    Raises:
        ValueError: one is too long.
    """
    for distance in distances if isinstance(distances, tuple) else (distances,):
        require_length(distance, info.data.get("norm", "linf"))
    return distances


def require_reach(norm: Norm, epsilons: tuple[Fraction, ...], step_size: Fraction, steps: int) -> None:
    """Refuse an L2 or L1 attack whose steps cannot cross half of its ball: the defaults are lengths of the Linf norm.

    Raises:
        ValueError: steps times step size is below the largest radius.
    """
    reach, radius = steps * step_size, max(epsilons, default=Fraction(0))
    if norm != "linf" and reach < radius:
        raise ValueError(
            f"{steps} steps of {format_distance(step_size)} go no farther than {format_distance(reach)}, and the "
            f"{norm.upper()} radius is {format_distance(radius)}; raise step_size"
        )


class Settings(BaseModel):
    """Base of every group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
