"""The screen of all runs, with its questions and forms."""
