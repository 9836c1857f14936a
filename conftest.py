"""Loads the fixtures that the tests of every package share."""

import signal

pytest_plugins = ["tests.fixtures"]

# Shells make background jobs ignore Ctrl-C, and programs hand that on to those that they start. Tests that send it to
# programs of their own must find it as a terminal would leave it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
