"""The terminal console of CLAF: it draws what the engine says and passes on what a person asks."""
