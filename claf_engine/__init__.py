"""CLAF training, attacks and evaluation as a library; `run.run` trains, `evaluate` measures, no terminal code."""
