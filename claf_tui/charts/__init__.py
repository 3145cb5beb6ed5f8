"""Curves as characters; no Textual."""
