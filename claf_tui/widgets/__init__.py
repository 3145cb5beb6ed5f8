"""Widgets: each draws one slice of `RunState`; the drawing itself is pure functions."""
