"""One run from its folder: phases, state, probes, checkpoints."""
