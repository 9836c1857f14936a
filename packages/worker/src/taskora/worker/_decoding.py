"""From the bytes of a claim to what the handler is given."""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

from taskora.contracts import Issue, ValidationError, preview
from taskora.producer import PayloadCodec
from taskora.wire import Claim
from taskora.worker._implementation import Implementation


def decode_input(implementation: Implementation[Any, Any], claim: Claim) -> object:
    """The validated input, or list of inputs, brought to the version of the implementation.

    Raises:
        ValidationError: the payload is damaged, cannot be migrated, or does not fit the declared type.
    """
    if claim.version >= implementation.version or not implementation.migrations:
        return decoder_of_newest(implementation)(claim.data)
    return _decode_older(implementation, claim)


def decoder_of_newest(implementation: Implementation[Any, Any]) -> Callable[[bytes], object]:
    """Decodes payloads of the implementation's own version; raises as `decode_input` does."""
    batch = implementation.payloads.batch
    return implementation.payloads.input.decode if batch is None else partial(_decode_batch, implementation, batch)


def _decode_older(implementation: Implementation[Any, Any], claim: Claim) -> object:
    batch = implementation.payloads.batch
    codec = batch or implementation.payloads.input
    plain = codec.decode_plain(claim.data)
    if batch is None:
        return codec.validate(_migrate(implementation, plain, claim.version))
    items = cast("list[object]", plain) if isinstance(plain, list) else [plain]
    return codec.validate([_migrate(implementation, item, claim.version) for item in items])


def _decode_batch(
    implementation: Implementation[Any, Any], batch: PayloadCodec[list[Any]], data: bytes
) -> list[object]:
    """The items; what a producer dispatched that did not know that the task collects is a batch of one."""
    try:
        return batch.decode(data)
    except ValidationError as error:
        try:
            return [implementation.payloads.input.decode(data)]
        except ValidationError:
            raise error from None


def _migrate(implementation: Implementation[Any, Any], payload: object, version: int) -> object:
    """Applies the steps from `version` on; versions without a step leave it to the defaults of the declared type."""
    for start in range(version, implementation.version):
        step = implementation.migrations.get(start)
        if step is None:
            continue
        try:
            payload = step(payload)
        except Exception as error:
            message = f"migration from version {start} failed: {type(error).__name__}: {error}"
            issue = Issue(path=(), message=message, rule="migration", value=preview(payload))
            raise ValidationError(issues=(issue,), task=implementation.task, subject="input") from error
    return payload
