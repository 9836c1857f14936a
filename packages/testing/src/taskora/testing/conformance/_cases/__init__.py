"""The cases, one module per part."""
