"""Handlers in processes of their own."""


def in_process(implementation):
    raise NotImplementedError
