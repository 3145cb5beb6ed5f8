"""The browser of checkpoints and its dialogs."""
