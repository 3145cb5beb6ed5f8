"""The colours that tell runs apart, the same in charts, tables and pages, for people with any kind of colour vision."""

RUN_COLORS = ("#56b4e9", "#e69f00", "#cc79a7", "#009e73", "#f0e442", "#d55e00", "#7f9cf5", "#b0b8c4")
"""On a dark ground (Okabe and Ito, and two more)."""
LIGHT_RUN_COLORS = ("#0072b2", "#b87700", "#a8467e", "#007a59", "#857a00", "#b84d00", "#4a5fd0", "#5c6670")
"""The same hues on a light ground, dark enough to be read as text."""
