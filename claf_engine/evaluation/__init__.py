"""Measure a checkpoint on disk, and keep what was found on a card."""
