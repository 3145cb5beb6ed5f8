"""The network, its modes, and copies of it that compute the same faster."""
