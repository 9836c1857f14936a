"""The taskora command."""
