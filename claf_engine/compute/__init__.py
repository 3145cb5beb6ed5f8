"""Device, precision, memory layout and random streams."""
