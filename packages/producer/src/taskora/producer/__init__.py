"""Dispatch jobs, await results, inspect queues."""
