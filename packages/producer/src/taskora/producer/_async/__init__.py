"""The asyncio surface. Its synchronous twin in `_sync` is generated from it by tools/unasync.py."""
