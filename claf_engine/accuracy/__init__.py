"""Accuracy of a model in memory: natural, robust, worst case per example. Knows nothing of runs or checkpoints."""
