"""`python -m taskora.cli` is `taskora`."""

from taskora.cli import main

main()
