"""The evidence: cards, settings and tables of finished runs, and the scripts that read them."""
