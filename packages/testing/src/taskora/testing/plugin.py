"""The pytest plugin; pytest loads it wherever this distribution is installed."""

__all__: list[str] = []
