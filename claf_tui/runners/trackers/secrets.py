"""Takes out of a text what nobody should read in a log: passwords in addresses, and values of secret variables."""

import os
import re
from collections.abc import Mapping

_SECRET = re.compile(r"KEY|TOKEN|SECRET|PASSW|CREDENTIAL", re.IGNORECASE)
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_QUERY = re.compile(r"(?i)\b((?:api_?key|token|secret|password|signature)=)[^&\s]+")
MASK = "***"
SHORTEST = 6
"""Values that are shorter are words, such as "on"."""


def masked(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The same text with stars in the place of secrets."""
    secrets = (value for name, value in environment.items() if _SECRET.search(name) and len(value) >= SHORTEST)
    for value in sorted(secrets, key=len, reverse=True):
        text = text.replace(value, MASK)
    return _QUERY.sub(rf"\1{MASK}", _USER.sub(f"{MASK}@", text))
