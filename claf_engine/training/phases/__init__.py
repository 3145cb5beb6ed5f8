"""One generator per kind of phase, one visible loop each."""
