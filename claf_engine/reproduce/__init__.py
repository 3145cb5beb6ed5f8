"""The tables of the paper, reproduced: which runs they need, what is measured of them, and what is written."""
