"""Implement contracts and run their jobs."""
