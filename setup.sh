#!/bin/sh
# Installs Gemini API Proxy as a Linux service. Run again from a newer checkout, it updates.
#
#   sudo ./setup.sh                       install or update
#   sudo env PORT=9000 HOST=127.0.0.1 ./setup.sh     the same, listening there
#   sudo ./setup.sh --uninstall           remove it; sign-in, settings and usage stay
#   sudo ./setup.sh --uninstall --purge   remove those as well
#
# Program: /opt/gemini-api-proxy. Data: /var/lib/gemini-api-proxy. User: gemini-api-proxy.
# See docs/server.md.
set -eu
umask 022

name=gemini-api-proxy
app=/opt/$name
data=/var/lib/$name
unit=/etc/systemd/system/$name.service
dropins=$unit.d
chosen=$dropins/10-setup.conf # sorts before the override.conf of "systemctl edit", which wins
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
new=
changed=no

say() { printf '%s\n' "$*"; }
fail() {
    printf 'setup.sh: %s\n' "$*" >&2
    exit 1
}
has() { command -v "$1" >/dev/null 2>&1; }
systemd_runs() { [ -d /run/systemd/system ]; }
clean_up() { if [ -n "$new" ]; then rm -rf -- "$new"; fi; }
trap clean_up EXIT
trap 'exit 130' INT TERM HUP

# Python: the distribution's own, so that it gets the distribution's security updates.

find_python() {
    for candidate in "${PYTHON:-}" /usr/bin/python3 /usr/bin/python3.[1-9][0-9] \
        /usr/local/bin/python3 /usr/local/bin/python3.[1-9][0-9]; do
        [ -x "$candidate" ] || continue
        if "$candidate" -c 'import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))' \
            2>/dev/null; then
            say "$candidate"
            return 0
        fi
    done
    return 1
}

install_python() {
    say "Python 3.11 or newer with its venv module is missing; installing it."
    if has apt-get; then
        export DEBIAN_FRONTEND=noninteractive
        apt-get update -q
        apt-get install -yq --no-install-recommends python3 python3-venv || return 0
        for version in 3.13 3.12 3.11; do # where python3 itself is older (Ubuntu 22.04)
            if find_python >/dev/null; then return 0; fi
            apt-get install -yq --no-install-recommends "python$version" "python$version-venv" ||
                continue
        done
    elif has dnf; then
        dnf install -y python3
        for version in 3.12 3.11; do # RHEL and its like: python3 is 3.9
            if find_python >/dev/null; then return 0; fi
            dnf install -y "python$version" || continue
        done
    elif has pacman; then
        pacman -S --needed --noconfirm python
    fi
}

# The program

sources() { # what is installed, one path per line
    (cd "$here" && find main.py server tray webui requirements-server.txt LICENSE -type f \
        ! -name '*.pyc' | LC_ALL=C sort)
}

fingerprint() { # of what would be installed, and of the Python it would run on
    { (cd "$here" && sources | xargs sha256sum) && "$python" -VV; } | sha256sum | cut -d ' ' -f 1
}

installed_program_runs() { "$app/venv/bin/python" -B "$app/main.py" --version >/dev/null 2>&1; }

install_program() {
    mark=$(fingerprint)
    if [ "$(cat "$app/.installed" 2>/dev/null)" = "$mark" ] && installed_program_runs; then
        say "The program in $app is up to date."
        return
    fi
    say "Installing the program into $app."
    mkdir -p "$(dirname "$app")"
    new=$(mktemp -d "$app.XXXXXX")
    build_program
    replace_program
    changed=yes
}

build_program() { # in $new; what runs now stays as it is until all of this has worked
    sources | while read -r file; do
        mkdir -p "$new/$(dirname "$file")"
        cp "$here/$file" "$new/$file"
    done
    build_venv
    "$new/venv/bin/python" -B "$new/main.py" --version
    "$new/venv/bin/python" -m compileall -q --invalidation-mode unchecked-hash \
        -s "$new" -p "$app" "$new/main.py" "$new/server" "$new/tray" "$new/webui"
    printf '%s\n' "$mark" >"$new/.installed"
    chmod -R u=rwX,go=rX "$new"
}

build_venv() { # the old one still serves where neither libraries nor Python have changed
    made_from=$({ cat "$new/requirements-server.txt" && "$python" -VV; } | sha256sum)
    if [ "$(cat "$app/venv/made-from" 2>/dev/null)" = "$made_from" ]; then
        cp -a "$app/venv" "$new/venv"
        return
    fi
    "$python" -m venv "$new/venv"
    "$new/venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-cache-dir \
        --require-hashes --only-binary :all: -r "$new/requirements-server.txt" ||
        fail "the libraries could not be installed; see above. The program is as it was."
    "$new/venv/bin/python" -m pip uninstall --quiet --yes pip setuptools 2>/dev/null
    # These name the folder they were made in, and only the interpreter is needed.
    find "$new/venv/bin" -type f ! -name 'python*' -exec rm -f {} +
    printf '%s\n' "$made_from" >"$new/venv/made-from"
}

replace_program() {
    if [ -e "$app/.installed" ]; then
        if [ -e "$app/google_token.json" ]; then mv "$app/google_token.json" "$new/"; fi
        mv "$app" "$new.old"
    elif [ -e "$app" ]; then # the original gemini-api-proxy, or something of the user's
        [ ! -e "$app.before" ] || fail "$app.before is in the way; move it elsewhere."
        mv "$app" "$app.before"
        say "What was in $app is kept in $app.before."
    fi
    mv "$new" "$app"
    rm -rf -- "$new.old"
    new=
}

# User, data, service

make_user() {
    if ! id "$name" >/dev/null 2>&1; then
        useradd --system --user-group --home-dir "$data" --no-create-home \
            --shell "$(command -v nologin || echo /bin/false)" "$name"
        say "Made the user $name."
    fi
    mkdir -p "$data"
    chown "$name:$name" "$data"
    chmod 700 "$data"
}

import_token() { # the original program kept its sign-in beside its code
    if [ -f "$app/google_token.json" ] && [ ! -e "$data/google_token.json" ]; then
        cp "$app/google_token.json" "$data/.import"
        chown "$name:$name" "$data/.import"
        chmod 600 "$data/.import"
        mv "$data/.import" "$data/google_token.json"
        # Ours to tidy; the original program's folder is left as it is.
        if [ -e "$app/.installed" ]; then rm -f "$app/google_token.json"; fi
        say "Took over the sign-in found in $app."
        changed=yes
    fi
}

write() { # write FILE TEXT, if that changes it
    if [ "$(cat "$1" 2>/dev/null)" != "$2" ]; then
        mkdir -p "$(dirname "$1")"
        printf '%s\n' "$2" >"$1"
        chmod 644 "$1"
        say "Wrote $1."
        changed=yes
    fi
}

check_choice() { # before anything is installed
    case ${PORT:-1} in
    *[!0-9]* | ??????*) fail "PORT: '$PORT' cannot be used; allowed: a port number, 1 to 65535." ;;
    esac
    if [ "${PORT:-1}" -lt 1 ] || [ "${PORT:-1}" -gt 65535 ]; then
        fail "PORT: '$PORT' cannot be used; allowed: a port number, 1 to 65535."
    fi
    case ${HOST:-} in
    *[!0-9A-Za-z.,:-]*) fail "HOST: '$HOST' cannot be used; allowed: addresses, comma separated." ;;
    esac
}

install_service() {
    write "$unit" "$(cat "$here/$name.service")"
    if [ -n "${PORT:-}${HOST:-}" ]; then
        write "$chosen" "# Written by setup.sh from its environment; systemctl edit $name wins over it.
[Service]${PORT:+
Environment=PORT=$PORT}${HOST:+
Environment=HOST=$HOST}"
    fi
    if has systemctl; then
        systemctl is-enabled --quiet "$name" 2>/dev/null || systemctl enable --quiet "$name"
    fi
}

start_service() {
    if ! systemd_runs; then
        say "systemd does not run here, so nothing was started. By hand:"
        say "  setpriv --reuid $name --regid $name --clear-groups env DATA_DIR=$data" \
            "$app/venv/bin/python -B $app/main.py --headless"
        return
    fi
    systemctl daemon-reload
    if [ "$changed" = yes ]; then systemctl restart "$name"; else systemctl start "$name"; fi
    waited=0
    while [ "$waited" -lt 10 ]; do # a wrong setting or a port in use ends it within seconds
        sleep 1
        waited=$((waited + 1))
        if answers; then
            say "The service runs. Set it up: $(address)/setup"
            say "From another computer it wants the key in $data/api_key."
            return
        fi
        systemctl is-active --quiet "$name" || break
    done
    journalctl -u "$name" -n 5 --no-pager -o cat >&2 || true
    fail "The service does not answer; see above, and: systemctl status $name"
}

address() { # where the unit and its drop-ins say that it listens
    environment=$(systemctl show "$name" -p Environment --value)
    port=8081 host=127.0.0.1
    for pair in $environment; do
        case $pair in
        PORT=*) port=${pair#PORT=} ;;
        HOST=*) host=${pair#HOST=} host=${host%%,*} ;;
        esac
    done
    case $host in
    0.0.0.0 | ::) host=127.0.0.1 ;;
    *:*) host="[$host]" ;;
    esac
    say "http://$host:$port"
}

answers() {
    "$app/venv/bin/python" -c 'import sys, urllib.request
open = urllib.request.build_opener(urllib.request.ProxyHandler({})).open
open(sys.argv[1] + "/health", timeout=2)' "$(address)" 2>/dev/null
}

uninstall() {
    if systemd_runs && [ -e "$unit" ]; then systemctl stop "$name"; fi
    if has systemctl && [ -e "$unit" ]; then systemctl disable --quiet "$name"; fi
    rm -rf -- "$app" "$unit" "$chosen"
    if [ "$1" = purge ]; then
        rm -rf -- "$data" "$dropins"
        if id "$name" >/dev/null 2>&1; then userdel "$name"; fi
        say "Removed the program, its user and its data."
    else
        rmdir "$dropins" 2>/dev/null || true
        say "Removed the program. Kept: $data. To remove that as well: $0 --uninstall --purge"
    fi
    if systemd_runs; then systemctl daemon-reload; fi
}

action=install
for argument in "$@"; do
    case $argument in
    --uninstall) [ "$action" = purge ] || action=uninstall ;;
    --purge) action=purge ;;
    -h | --help)
        sed -n '2,/^set/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    *) fail "unknown argument '$argument'; allowed: --uninstall, --purge, --help." ;;
    esac
done
case " $* " in
*" --purge "*) case " $* " in *" --uninstall "*) ;; *) fail "--purge goes with --uninstall." ;; esac ;;
esac
[ "$(uname -s)" = Linux ] || fail "this is for Linux."
[ "$(id -u)" = 0 ] || fail "run it as root: sudo $0 $*"
if [ "$action" != install ]; then
    uninstall "$action"
    exit 0
fi
[ "$here" != "$app" ] || fail "$app is where it installs to; keep the checkout elsewhere."
check_choice
python=$(find_python) || { install_python && python=$(find_python); } ||
    fail "Python 3.11 or newer with its venv module is needed. Install it, or name it: PYTHON=/path"
make_user
import_token
install_program
install_service
start_service
