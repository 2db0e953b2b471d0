"""``setup.sh`` and the systemd unit, run for real in a throw-away copy of this machine."""

import json
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.install.sandbox import CHECKOUT, Sandbox, sandbox
from tests.support import free_port

UNIT = CHECKOUT / "gemini-api-proxy.service"
APP, DATA = "/opt/gemini-api-proxy", "/var/lib/gemini-api-proxy"
AS_SERVICE = (
    "setpriv --reuid gemini-api-proxy --regid gemini-api-proxy --clear-groups --no-new-privs"
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a Linux service")


def test_the_service_may_read_what_the_program_asks_the_system() -> None:
    """/proc/net: the gateway of TRUSTED_NETWORKS, the doctor's holder of a port."""
    unit = UNIT.read_text("utf-8").splitlines()
    assert not any(line.startswith("ProcSubset=") for line in unit)
    assert "ProtectProc=invisible" in unit
    assert "RestartPreventExitStatus=2" in unit


def unit_lines(name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text("utf-8"), re.MULTILINE)


def test_the_script_is_clean_posix_shell() -> None:
    shellcheck = str(Path(sys.executable).with_name("shellcheck"))
    rules = "--enable=avoid-nullary-conditions,quote-safe-variables"
    done = subprocess.run(
        [shellcheck, "--shell=sh", rules, str(CHECKOUT / "setup.sh")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_systemd_finds_no_mistake_in_the_unit(tmp_path: Path) -> None:
    """verify wants the program to exist, so another stands in for it."""
    text = UNIT.read_text("utf-8").replace(f"{APP}/venv/bin/python", shutil.which("sh") or "")
    (tmp_path / UNIT.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        check=False,
    )
    ours = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert (done.returncode, ours) == (0, [])


def test_the_unit_leaves_next_to_nothing_exposed() -> None:
    """systemd's own score, 0 (none) to 10; 1.2 when this was written."""
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", "--threshold=15", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("PORT=http ./setup.sh", "PORT: 'http'"),
        ("PORT=70000 ./setup.sh", "PORT: '70000'"),
        ("HOST='a b' ./setup.sh", "HOST: 'a b'"),
        ("./setup.sh --remove", "'--remove'"),
        ("./setup.sh --purge", "--uninstall"),
        ("setpriv --reuid 65534 ./setup.sh", "sudo ./setup.sh"),
        (f"mkdir {APP}; cp setup.sh {APP}; trap 'rm -r {APP}' EXIT; {APP}/setup.sh", "checkout"),
    ],
)
def test_a_wrong_wish_is_one_line_and_changes_nothing(
    machine: Sandbox, line: str, named: str
) -> None:
    said = machine.run(f"cd /checkout; {line}", code=1)
    assert named in said
    assert said.count("\n") == 1
    machine.run(f"test ! -e {APP}")


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    folder = tmp_path_factory.mktemp("machine")
    with sandbox(folder) as made:
        yield made


@pytest.mark.parametrize(
    ("manager", "asked"),
    [
        ("apt-get", "install -yq --no-install-recommends python3 python3-venv"),
        ("dnf", "install -y python3"),
        ("pacman", "-S --needed --noconfirm python"),
        ("none", ""),
    ],
)
def test_a_missing_python_is_asked_of_the_distribution(
    machine: Sandbox, manager: str, asked: str
) -> None:
    """The package manager is a stand-in that says what it was asked and brings nothing."""
    inner = f"""
        for python in /usr/bin/python3* /usr/local/bin/python3*; do
            if [ -e $python ]; then mount --bind /dev/null $python; fi
        done
        mkdir /tmp/{manager}
        for tool in sh dirname id rm uname; do ln -s "$(command -v $tool)" /tmp/{manager}/; done
        printf '#!/bin/sh\\necho asked: "$@"\\n' > /tmp/{manager}/{manager}
        chmod +x /tmp/{manager}/{manager}
        PATH=/tmp/{manager} sh /checkout/setup.sh
    """
    said = machine.run(f"unshare --mount sh -ec {shlex.quote(inner)}", code=1)
    assert f"asked: {asked}\n" in said or manager == "none"
    assert "Python 3.11 or newer with its venv module is needed." in said
    machine.run(f"test ! -e {APP}")


def everything(machine: Sandbox) -> str:
    """Every installed file with owner, rights, size and time."""
    places = f"{APP} {DATA} /etc/systemd/system /etc/passwd"
    return machine.run(f"find {places} -printf '%p %u %m %s %T@ %l\\n' | sort")


def test_from_the_first_run_to_the_last_file(machine: Sandbox) -> None:
    """Install, run again, change, start, update, fail to update, uninstall, purge."""
    before = machine.run("cat /etc/passwd /etc/group; find /opt /etc/systemd | sort")
    the_original_program(machine)
    said = machine.run("cd /checkout && PORT=9000 HOST=127.0.0.1 ./setup.sh")
    assert "systemd does not run here" in said
    machine.run(f"test -e {APP}.before/app.py && grep -q theirs {DATA}/google_token.json")
    machine.run(f"rm -r {APP}.before {DATA}/google_token.json")
    installed = everything(machine)
    assert f"{APP}/main.py root 644" in installed
    machine.run(
        "cmp /checkout/gemini-api-proxy.service /etc/systemd/system/gemini-api-proxy.service"
    )
    assert f"{DATA} gemini-api-proxy 700" in installed
    assert "multi-user.target.wants/gemini-api-proxy.service" in installed
    chosen = machine.run("cat /etc/systemd/system/gemini-api-proxy.service.d/*").splitlines()
    assert chosen[1:] == ["[Service]", "Environment=PORT=9000", "Environment=HOST=127.0.0.1"]

    said = machine.run("cd / && /checkout/setup.sh")
    assert "up to date" in said
    assert "Wrote" not in said
    assert everything(machine) == installed

    started_as_the_unit_says(machine, said.splitlines()[-1])
    an_update_replaces_the_program_or_nothing(machine)

    machine.run(f"touch {DATA}/settings.toml; /checkout/setup.sh --uninstall")
    machine.run(f"test ! -e {APP} && test -e {DATA}/settings.toml && id gemini-api-proxy")
    machine.run("/checkout/setup.sh --uninstall --purge")
    machine.run(f"test ! -e {DATA}")
    assert machine.run("cat /etc/passwd /etc/group; find /opt /etc/systemd | sort") == before
    machine.run("/checkout/setup.sh --uninstall --purge")


def the_original_program(machine: Sandbox) -> None:
    """Its folder with its sign-in, and its service that runs as root."""
    machine.run(f"""
        mkdir -p {APP}; echo 'print()' > {APP}/app.py
        printf '{{"access_token": "theirs"}}' > {APP}/google_token.json
        printf '[Service]\\nUser=root\\n' > /etc/systemd/system/gemini-api-proxy.service
    """)


def started_as_the_unit_says(machine: Sandbox, by_hand: str) -> None:
    """ExecStart with its user and environment, and the line for a machine without systemd."""
    environment = " ".join(unit_lines("Environment"))
    (start,) = unit_lines("ExecStart")
    (user,) = unit_lines("User")
    assert user in AS_SERVICE
    installed = machine.run(f"find {APP} -printf '%p %T@\\n'")
    starts(machine, f"{AS_SERVICE} env {environment} {start}")
    starts(machine, by_hand)
    assert machine.run(f"find {APP} -printf '%p %T@\\n'") == installed


def starts(machine: Sandbox, line: str) -> None:
    """It answers, and ends as it should."""
    port = free_port()
    ask = f"u.urlopen('http://127.0.0.1:{port}/health').read().decode()"
    said = machine.run(f"""
        cd {unit_lines("WorkingDirectory")[0]}
        UPSTREAM=demo PORT={port} {line} > /tmp/log 2>&1 & pid=$!
        for _ in $(seq 900); do
            python3 -c "import urllib.request as u; print({ask})" 2> /dev/null && break
            sleep 0.1
        done
        kill -TERM $pid; wait $pid; echo "ended $?"; cat /tmp/log
    """)
    assert json.loads(said.splitlines()[0])["upstream"] == "demo"
    assert "ended 0" in said
    assert "Traceback" not in said


def an_update_replaces_the_program_or_nothing(machine: Sandbox) -> None:
    """A newer checkout is taken over, the original's token as well; a broken one is not."""
    copy = "main.py server tray webui requirements-server.txt LICENSE setup.sh *.service"
    machine.run(f"""
        mkdir /tmp/newer; cd /checkout; cp -r {copy} /tmp/newer; cd /tmp/newer
        sed -i 's/^__version__ = .*/__version__ = "9.9.9"/' server/__init__.py
        printf '{{"access_token": "raw", "refresh_token": "raw"}}' > {APP}/google_token.json
        ./setup.sh
        {APP}/venv/bin/python -B {APP}/main.py --version | grep -q 9.9.9
        test ! -e {APP}/google_token.json
        test "$(stat -c '%U %a' {DATA}/google_token.json)" = "gemini-api-proxy 600"
    """)
    settled = everything(machine)
    said = machine.run(
        "cd /tmp/newer; echo 'nothing==1 --hash=sha256:00' > requirements-server.txt; ./setup.sh",
        code=1,
    )
    assert "The program is as it was." in said
    assert everything(machine) == settled
