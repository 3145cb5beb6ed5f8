"""Widgets: each draws one slice of the state; the drawing itself is pure functions."""
