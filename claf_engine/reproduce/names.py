"""The words that a reproduction is asked for with. No imports of ours, so that help comes at once."""

from typing import Literal

TableName = Literal["table1", "table2", "table3", "table4", "table5", "table6", "figure1"]
ScaleName = Literal["paper", "small", "tiny"]
RecipeName = Literal["natural", "scl", "at", "trades", "rocl-at", "claf"]
"""How a row is trained; every scale has its own settings for each."""
