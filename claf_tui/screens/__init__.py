"""Screens: dashboard, checkpoint browser, help and the small questions."""
