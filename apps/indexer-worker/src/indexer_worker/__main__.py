"""`python -m indexer_worker` works until SIGTERM or Ctrl-C."""

import logging

from indexer_worker import create_worker

# Handlers run in child processes, which import this module too.
if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    create_worker().run()
