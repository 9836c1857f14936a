#!/bin/sh
# Usage: tools/bootstrap_uv.sh LINK
# Makes LINK point at a uv: the one on PATH when it is recent enough, otherwise one installed beside LINK
# with nothing but a Python >= 3.11. Needs no root.
set -eu

pinned=0.13.9
oldest_minor=13 # of 0.x; keep in step with tool.uv.required-version

link=$1
tools=$(cd "$(dirname "$link")" 2>/dev/null && pwd || { mkdir -p "$(dirname "$link")" && cd "$(dirname "$link")" && pwd; })
link=$tools/$(basename "$link")

recent_enough() {
    version=$("$1" --version 2>/dev/null | cut -d' ' -f2) || return 1
    major=${version%%.*}
    rest=${version#*.}
    minor=${rest%%.*}
    [ "${major:-0}" -ge 1 ] 2>/dev/null || [ "${minor:-0}" -ge "$oldest_minor" ] 2>/dev/null
}

usable_python() {
    command -v "$1" >/dev/null 2>&1 &&
        "$1" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

found=$(command -v uv || true)
if [ -n "$found" ] && [ ! "$found" -ef "$link" ] && recent_enough "$found"; then
    ln -sfn "$found" "$link"
    exit 0
fi

for python in python3.13 python3.12 python3.11 python3.14 python3 python; do
    if usable_python "$python"; then
        echo "bootstrap: installing uv $pinned into $tools with $python" >&2
        "$python" -m venv --clear "$tools/uv-venv"
        "$tools/uv-venv/bin/python" -m pip install --quiet --disable-pip-version-check "uv==$pinned"
        ln -sfn "$tools/uv-venv/bin/uv" "$link"
        exit 0
    fi
done

echo "bootstrap: need Python 3.11 or newer with its venv module (on Debian and Ubuntu: python3-venv), or uv" >&2
exit 1
