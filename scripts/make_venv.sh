#!/usr/bin/env bash
# Build .venv from requirements.lock, from nothing but a Python 3.11. `make venv` calls it.
# PYTHON=/path/to/python3.11 chooses the interpreter.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

fail() {
    printf 'make venv: %s\n' "$1" >&2
    exit 1
}

is_311() { "$1" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; }

find_python() {
    if [ -n "${PYTHON:-}" ]; then
        is_311 "$PYTHON" || fail "PYTHON=$PYTHON is not a working Python 3.11."
        printf '%s\n' "$PYTHON"
        return
    fi
    local candidate
    for candidate in python3.11 python3 python; do
        if is_311 "$candidate"; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "comity needs Python 3.11; found $(python3 --version 2>/dev/null || echo 'no python3').
    Install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv) or name it: make venv PYTHON=/path/to/python3.11"
}

# two makes at once would each clear what the other builds: the second one waits, and finds it done
if command -v flock >/dev/null; then
    exec 9<requirements.lock
    flock 9
fi

has_pip() { "$1" -c 'import pip' >/dev/null 2>&1; }

if ! is_311 .venv/bin/python || ! has_pip .venv/bin/python; then
    python=$(find_python)
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments: its modules venv and ensurepip are missing.
    Install them (Debian, Ubuntu: apt-get install python3.11-venv) and run make again."
    "$python" -m venv --clear .venv
fi

pin=$(grep '^uv==' requirements.lock) || fail "requirements.lock does not pin uv."
if [ "$(.venv/bin/uv --version 2>/dev/null | cut -d' ' -f2)" != "${pin#uv==}" ]; then
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "$pin" ||
        fail "pip could not install $pin: no package registry was reached.
    Behind a mirror, set PIP_INDEX_URL (pip) and UV_DEFAULT_INDEX (uv); behind a proxy, HTTPS_PROXY."
fi

uv_pip() { .venv/bin/uv pip "$@" --quiet --python .venv/bin/python; }

uv_pip install --requirement requirements.lock ||
    fail "uv could not install requirements.lock (see above).
    Behind a mirror, set UV_DEFAULT_INDEX; behind a proxy, HTTPS_PROXY; with own certificates, SSL_CERT_FILE."
# the build back end is in the lock, so no second environment is made for it
uv_pip install --no-deps --no-build-isolation --editable . ||
    fail "comity itself could not be installed (see above)."

# Every party is a process of its own. Compiled once here, the libraries they share start in a third of the time,
# also where Python is told not to keep what it compiles. It changes speed only, so its failure is no failure.
packages=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
(cd "$packages" && "$OLDPWD/.venv/bin/python" -m compileall -q -j 0 \
    anyio click cryptography duckdb httpcore httpx jinja2 joblib matplotlib narwhals numpy onnx opendp pandas pyarrow \
    pydantic rich scipy skl2onnx sklearn sqlalchemy starlette typer uvicorn >/dev/null 2>&1) || true
