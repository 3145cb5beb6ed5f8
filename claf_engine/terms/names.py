"""The words that settings, command-line options, tables and verdicts share. No imports, so that help comes at once."""

from typing import Literal

Method = Literal[
    "claf",
    "natural",
    "scl",
    "at",
    "fgsm",
    "trades",
    "alp",
    "rocl",
    "acl",
    "clp",
    "two-encoders",
    "rectifier",
    "defense-gan",
    "pretext",
    "union",
]
AttackName = Literal["pgd", "fgsm", "mi-fgsm"]
"""Attacks of our own."""
EvaluationAttack = Literal[
    AttackName,
    "autoattack",
    "universal",
    "universal-deepfool",
]
"""What accuracy is measured under; a library runs AutoAttack, universal ones are one perturbation for all images."""
Norm = Literal[
    "linf",
    "l2",
    "l1",
]
SpaceName = Literal["pixel", "released-code"]
PointName = Literal["last", "any"]
"""Which point of an attack decides: the last one of each run, or any from its start on."""
BudgetName = Literal["quick", "standard", "full"]
"""How much an audit may cost, from a minute to a night."""


TableName = Literal[
    "table1",
    "table2",
    "table3",
    "table4",
    "table5",
    "table6",
    "figure1",
    "robust",
    "related",
]


ScaleName = Literal["paper", "gpu", "small", "tiny"]


ComputeName = Literal["own", "equal"]
"""For how long the rows of a table train: each as its recipe says, or all for the same arithmetic."""


RecipeName = Literal[
    "natural",
    "scl",
    "at",
    "trades",
    "rocl-at",
    "claf",
    "robust",
    "fgsm",
    "alp",
    "acl",
    "acl-linear",
    "clp",
    "two-encoders",
    "rectifier",
    "defense-gan",
    "pretext",
    "at-rotation",
    "union",
]
"""How a row is trained; a scale has its own settings for each that it has."""


Verdict = Literal["passes", "warns", "fails", "not-run"]
SteerName = Literal["pause", "resume", "probe", "checkpoint", "stop", "set"]
"""What a person types."""
RequestName = Literal[SteerName, "pause-later"]
"""What a run may be asked for from another process."""


NamingName = Literal["ours", "torchvision", "timm", "kuangliu", "trades"]
"""What the tensors of an exported network are called."""
