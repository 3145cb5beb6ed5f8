"""The Textual apps, their engine thread, and the terminal they run in."""
