"""What every group of settings is made of: the frozen base and the kinds of values."""

from fractions import Fraction
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from claf_engine.pixels import format_distance, parse_distance

PixelDistance = Annotated[Fraction, BeforeValidator(parse_distance), PlainSerializer(format_distance, return_type=str)]
Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]

LIVE = {"live": True}


class Settings(BaseModel):
    """Base of every group of settings: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
