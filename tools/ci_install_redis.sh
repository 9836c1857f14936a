#!/bin/sh
# Installs Redis from the system's packages where that is possible, so that the tests cover it too.
# Without it they run on the Valkey server of the development dependencies and skip Redis aloud.
set -u

if command -v redis-server >/dev/null 2>&1; then
    exit 0
fi
if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "ci: no redis-server here and no way to install one; its tests will be skipped"
    exit 0
fi
export DEBIAN_FRONTEND=noninteractive
{ apt-get update -qq && apt-get install -qq -y --no-install-recommends redis-server; } ||
    echo "ci: installing redis-server failed; its tests will be skipped"
