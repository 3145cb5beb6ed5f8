"""Whether a robustness figure can be believed: diagnostics, the worst case over everything run, and the card."""
