#!/usr/bin/env bash
# Start a PostgreSQL of its own in a new folder, for tests: nothing but its unix socket listens, and nobody but
# the user who runs it gets in. Prints its folder and its process id; end it with `kill -INT` of that id.
#   scripts/start_postgres.sh [--install] [--leave] FOLDER
# --install: where the server is missing and this is root on Debian or Ubuntu, installs their package first.
# --leave: when this script's standard input closes, as it does when whoever holds it dies, the server is ended
# and the folder removed.
# Exits 3, naming what is missing, where there is no server to start.
set -euo pipefail

install=no leave=no
while true; do
    case "${1:-}" in
        --install) install=yes ;;
        --leave) leave=yes ;;
        *) break ;;
    esac
    shift
done
mkdir -p "${1:?name a folder}"
folder=$(cd "$1" && pwd)
# where Debian's files are; the tests of this script have some of their own
root=${START_POSTGRES_ROOT:-}

missing() {
    printf 'no PostgreSQL server here (%s); install it: apt-get install postgresql\n' "$1" >&2
    exit 3
}

binaries() {
    local found
    found=$(ls -d "$root"/usr/lib/postgresql/*/bin 2>/dev/null | sort -V | tail -1) || true
    if [ -n "$found" ] && [ -x "$found/initdb" ] && [ -x "$found/postgres" ]; then
        printf '%s\n' "$found"
    elif [ -z "$root" ] && command -v initdb >/dev/null && command -v postgres >/dev/null; then
        dirname "$(command -v initdb)"
    fi
}

install_package() {
    [ "$(id -u)" = 0 ] || missing 'not root, so it cannot be installed from here'
    command -v apt-get >/dev/null || missing 'no apt-get'
    # a machine that has never listed its packages finds none; one that cannot reach them fails at once
    local settings=(-o Acquire::Retries=1 -o Acquire::http::Timeout=20 -o Acquire::https::Timeout=20)
    export DEBIAN_FRONTEND=noninteractive
    # the package would start a server of its own at once; this refuses it and is taken away again
    local policy=$root/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        # shellcheck disable=SC2064  # the name as it is now
        trap "rm -f '$policy'" EXIT
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi
    { apt-get "${settings[@]}" update && apt-get "${settings[@]}" install --yes --no-install-recommends postgresql; } \
        >"$folder/install.log" 2>&1 || missing "installing it failed: $(tail -1 "$folder/install.log")"
}

bin=$(binaries)
if [ -z "$bin" ] && [ "$install" = yes ]; then
    install_package
    bin=$(binaries)
fi
[ -n "$bin" ] || missing "looked in $root/usr/lib/postgresql and on the path"

# PostgreSQL refuses to run as root: there it runs as its package's user, or as nobody
as=()
if [ "$(id -u)" = 0 ]; then
    user=postgres
    id -u "$user" >/dev/null 2>&1 || user=nobody
    group=$(id -gn "$user")
    chown "$user:$group" "$folder"
    as=(setpriv --reuid "$user" --regid "$group" --clear-groups)
fi
chmod 700 "$folder"
cd "$folder"
export LC_ALL=C
"${as[@]}" "$bin/initdb" --pgdata "$folder/data" --username comity --auth trust --encoding UTF8 --no-locale \
    --no-sync >"$folder/initdb.log" 2>&1 || missing "initdb failed: $(tail -1 "$folder/initdb.log")"
"${as[@]}" "$bin/postgres" -D "$folder/data" -k "$folder" -c listen_addresses= -c max_connections=60 \
    -c shared_buffers=32MB -c logging_collector=off </dev/null >"$folder/server.log" 2>&1 &
pid=$!

end_with_input() {
    cat >/dev/null || true
    kill -INT "$pid" 2>/dev/null || true
    for _ in $(seq 200); do
        kill -0 "$pid" 2>/dev/null || break
        sleep 0.05
    done
    kill -KILL "$pid" 2>/dev/null || true
    cd /
    rm -rf "$folder"
}

if [ "$leave" = yes ]; then
    # a session of its own: a signal to whoever started this, and to its group, does not end the watcher
    export -f end_with_input
    export pid folder
    exec 3<&0
    setsid bash -c end_with_input <&3 >/dev/null 2>&1 &
    exec 3<&-
fi
for _ in $(seq 150); do
    if "$bin/pg_isready" --quiet --host "$folder" --username comity; then
        printf '%s %s\n' "$folder" "$pid"
        exit 0
    fi
    kill -0 "$pid" 2>/dev/null || missing "it stopped at once: $(tail -1 "$folder/server.log")"
    sleep 0.1
done
kill -INT "$pid"
missing 'it did not answer within 15 seconds'
