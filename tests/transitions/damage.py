"""Keys that hold what they must not."""

from typing import Any

from tests.transitions.keyspace import BASE, RawTask


class Damage:
    """One key that holds something else for a while."""

    def __init__(self, task: RawTask, name: str) -> None:
        self._client: Any = task.client
        self._key = BASE + name
        self._had_value = bool(self._client.exists(self._key))
        is_text = self._had_value and self._client.type(self._key) == b"string"
        if self._had_value:
            self._client.rename(self._key, "kept")
        if is_text:
            self._client.rpush(self._key, "damaged")
        else:
            self._client.set(self._key, "damaged")

    def mend(self) -> None:
        """Everything is as if the key had not been touched meanwhile."""
        self._client.delete(self._key)
        if self._had_value:
            self._client.rename("kept", self._key)
