"""Typed task contracts."""
