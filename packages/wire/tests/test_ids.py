"""Names that nobody else has."""

import uuid

from taskora.wire import random_id


def test_an_id_is_a_random_uuid_as_text() -> None:
    made = [random_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    assert all(str(uuid.UUID(name)) == name for name in made)
    assert {(uuid.UUID(name).version, uuid.UUID(name).variant) for name in made} == {(4, uuid.RFC_4122)}
