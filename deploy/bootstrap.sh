#!/bin/sh
# Makes .venv with what the Makefile's targets need, and .env for development. Does nothing, quickly,
# when both are there. Usage: deploy/bootstrap.sh sandbox|dev
#
# PYTHON=/path/to/python picks the Python; else the first that works of PATH, pyenv and uv.
set -eu
cd "$(dirname "$0")/.."

kind=${1:-sandbox}
[ -f "requirements-$kind.txt" ] || { echo "usage: deploy/bootstrap.sh sandbox|dev" >&2; exit 2; }
began=$(date +%s)
venv=.venv
log=$venv/install.log

wanted=$(cat requirements.txt requirements-sandbox.txt requirements-dev.txt | cksum)
installed() { [ -f "$venv/.installed-$1" ] && [ "$(cat "$venv/.installed-$1")" = "$wanted" ]; }
# What the developer's set has, the sandbox's set has too.
complete() { { installed dev || { [ "$kind" = sandbox ] && installed sandbox; }; } && runs "$venv/bin/python"; }
runs() { "$1" -c '' >/dev/null 2>&1; }

say() { printf '%4ss  %s\n' "$(($(date +%s) - began))" "$*"; }
stop() { printf '%s\n' "$*" >&2; exit 1; }

unset PYTHONHOME PYTHONPATH || true

# --- a Python ---------------------------------------------------------------------------------------
# Only running a candidate tells: a pyenv shim is on PATH for versions that are not selected.
fits() {
    "$1" - "$2" >/dev/null 2>&1 <<'CHECK'
import sys, sysconfig, ensurepip, venv
fits = sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED")
version = "%d.%d" % sys.version_info[:2]
sys.exit(not (fits and version in sys.argv[1].split(",")))
CHECK
}

candidates() {
    for version in 3.13 3.12 3.14; do
        command -v "python$version" || true
        for folder in "${PYENV_ROOT:-$HOME/.pyenv}" "$HOME/.pyenv"; do
            for python in "$folder/versions/$version".*/bin/python; do
                [ -x "$python" ] && echo "$python"
            done
        done
        for python in "${UV_PYTHON_INSTALL_DIR:-$HOME/.local/share/uv/python}"/cpython-"$version".*/bin/python3; do
            [ -x "$python" ] && echo "$python"
        done
        for python in "/opt/homebrew/bin/python$version" "/usr/local/bin/python$version"; do
            [ -x "$python" ] && echo "$python"
        done
    done
    command -v python3 || true
    command -v python || true
    command -v uv >/dev/null 2>&1 && uv python find --no-project --no-python-downloads '>=3.12,<3.15' 2>/dev/null
    true
}

find_python() {
    HOME=${HOME:-/nonexistent}
    if [ -n "${PYTHON:-}" ]; then
        fits "$PYTHON" 3.12,3.13,3.14 && { command -v "$PYTHON"; return; }
        stop "PYTHON=$PYTHON is not a CPython from 3.12 to 3.14 with venv: name another, or unset PYTHON to have one looked for."
    fi
    found=$(candidates)
    old_ifs=$IFS
    IFS='
'
    for versions in 3.13 3.12,3.14; do
        for python in $found; do
            fits "$python" "$versions" && { echo "$python"; return; }
        done
    done
    IFS=$old_ifs
    stop "Nixflex needs Python 3.12, 3.13 or 3.14 with its venv module: install one, for example with 'apt install python3.13-venv', 'brew install python@3.13', 'pyenv install 3.13' or 'uv python install 3.13'; or name one as PYTHON=/path/to/python."
}

# --- .venv ------------------------------------------------------------------------------------------
make_venv() {
    if [ -d "$venv" ] && fits "$venv/bin/python" 3.12,3.13,3.14; then
        return
    fi
    python=$(find_python)
    say "making $venv with $("$python" -V 2>&1) ($python)"
    rm -rf "$venv"
    "$python" -m venv "$venv" >"$venv.log" 2>&1 || { cat "$venv.log" >&2; rm -rf "$venv"; stop "$python could not make $venv."; }
    rm -f "$venv.log"
}

# Without --no-compile half of the time goes into compiling modules that nobody will import.
pip_install() {
    PIP_USER=0 PIP_NO_INPUT=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore PIP_PROGRESS_BAR=off \
        "$venv/bin/python" -m pip install --no-compile --retries 5 --timeout 30 -r "requirements-$kind.txt" >"$log" 2>&1
}

install() {
    pip_install &
    pip=$!
    trap 'kill $pip 2>/dev/null; rm -rf "$lock"; exit 130' INT TERM HUP
    shown=$(date +%s)
    while kill -0 $pip 2>/dev/null; do
        sleep 0.2 2>/dev/null || sleep 1
        now=$(date +%s)
        if [ $((now - shown)) -ge 5 ]; then
            shown=$now
            if grep -q '^Installing collected' "$log"; then
                say "installing $(grep '^Installing collected' "$log" | tr ',' '\n' | wc -l | tr -d ' ') packages"
            else
                say "$(grep -c '^Collecting' "$log" || true) packages found, $(grep -cE '^ +(Downloading|Using cached) .*\.(whl|gz)' "$log" || true) fetched"
            fi
        fi
    done
    status=0
    wait $pip || status=$?
    trap 'rm -rf "$lock"' EXIT
    trap 'exit 130' INT TERM HUP
    return $status
}

failed() {
    grep -v 'is ignored' "$log" | grep -iv '^\[notice\]' | tail -n 15 >&2
    stop "Installing requirements-$kind.txt failed (all of it: $log). Is the package index reachable?"
}

write_env() {
    (
        umask 077
        "$venv/bin/python" - >.env.new <<'KEYS'
import base64, secrets
print("# Development settings, made once by deploy/bootstrap.sh. .env.example lists every variable.")
print("DEBUG=1")
print("SECRET_KEY=" + secrets.token_urlsafe(50))
print("FIELD_ENCRYPTION_KEYS=" + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode())
KEYS
        mv .env.new .env
    )
    say "wrote .env with DEBUG=1 and random keys"
}

if complete && [ -f .env ]; then
    exit 0
fi

# One at a time; a lock whose owner is gone is nobody's.
lock=.venv.lock
until mkdir "$lock" 2>/dev/null; do
    owner=$(cat "$lock/pid" 2>/dev/null || true)
    if [ -n "$owner" ] && ! kill -0 "$owner" 2>/dev/null; then rm -rf "$lock"; else sleep 1; fi
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
trap 'exit 130' INT TERM HUP

if ! complete; then
    make_venv
    say "installing requirements-$kind.txt (the first time takes a minute)"
    install || { say "once more"; install || failed; }
    printf '%s\n' "$wanted" >"$venv/.installed-$kind"
    say "installed"
fi
[ -f .env ] || write_env
