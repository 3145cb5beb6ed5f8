"""The words that settings and command-line options share. No imports, so that help comes at once."""

from typing import Literal

Method = Literal["claf", "natural", "scl", "at", "fgsm", "trades", "alp", "rocl"]
AttackName = Literal["pgd", "fgsm", "mi-fgsm"]
"""Attacks of our own."""
EvaluationAttack = Literal[AttackName, "autoattack"]
"""What accuracy is measured under; a library runs AutoAttack."""
Norm = Literal["linf", "l2"]
SpaceName = Literal["pixel", "released-code"]
PointName = Literal["last", "any"]
"""Which point of an attack decides: the last one of each run, or any from its start on."""
BudgetName = Literal["quick", "standard", "full"]
"""How much an audit may cost, from a minute to a night."""
