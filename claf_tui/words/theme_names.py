"""Our themes of the console by name, for help and shells, which do not wait for Textual."""

SUMMARIES = {
    "claf": "dark; the default",
    "claf-light": "light",
    "claf-colour-blind": "dark; told apart with protanopia, deuteranopia and tritanopia",
    "claf-colour-blind-light": "light; the same",
    "claf-contrast": "white and bright colours on black",
}
