"""The Redis wire format and its backends."""
