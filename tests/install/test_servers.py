"""The image in a real container engine, ``setup.sh`` in a machine with a real systemd. Opt-in.

``make test-servers``, as root on Debian or Ubuntu. The base image is not fetched: a bare Debian
made by debootstrap stands in for it, under its name. Port 8080 must be free; the machine that is
booted has a network of its own.
"""

import asyncio
import contextlib
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests import surroundings
from tests.install.dockerfile import stages
from tests.install.sandbox import CHECKOUT
from tests.support import free_port
from tests.test_docs import commands
from tests.webui.test_pages import field, sign_in_link

IMAGE = "gemini-api-proxy"
FOLDER = CHECKOUT / "build" / "servers"
APP, DATA = "/opt/gemini-api-proxy", "/var/lib/gemini-api-proxy"
APT = "apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -yq"


def run(*words: object, code: int | None = 0, **environ: str) -> str:
    """Run a command; returns what it printed."""
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, **surroundings.INDEX, **environ},
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    said = done.stdout + done.stderr
    assert code is None or done.returncode == code, f"{words}\n{said}"
    return said


@pytest.fixture(scope="session")
def debian() -> Path:
    """A bare Debian 12 with systemd and without Python, made once."""
    made = FOLDER / "bookworm"
    if not (made / "etc/debian_version").exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        extra = "systemd,systemd-sysv,dbus,ca-certificates,iproute2"
        run("debootstrap", "--variant=minbase", f"--include={extra}", "bookworm", made)
    return made


@pytest.fixture(scope="session")
def wheels() -> Path:
    """What the server needs, for the Python of Debian 12."""
    folder = FOLDER / "wheels"
    machine = platform.machine()
    target = ["--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]
    for tag in ("manylinux2014", "manylinux_2_17", "manylinux_2_28"):
        target += ["--platform", f"{tag}_{machine}"]
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes"),
        *("--only-binary", ":all:", *target, "-r", "requirements-server.txt", "-d", folder),
    )
    return folder


# The image


@pytest.fixture(scope="module")
def engine(debian: Path) -> Iterator[None]:
    """Podman with a store of its own, and the stand-in for the base image in it."""
    store = FOLDER / "podman"
    conf, storage = FOLDER / "containers.conf", FOLDER / "storage.conf"
    conf.write_text(
        '[containers]\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
        '[engine]\nruntime = "runc"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
    )
    storage.write_text(
        f'[storage]\ndriver = "overlay"\ngraphroot = "{store}"\nrunroot = "{store}-run"\n'
    )
    base = FOLDER / "base"
    if not (base / "usr/local/bin/python").exists():
        shutil.rmtree(base, ignore_errors=True)
        run("cp", "-a", debian, base)
        run("chroot", base, "sh", "-c", f"{APT} --no-install-recommends python3-venv")
        (base / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONTAINERS_CONF", str(conf))
        patch.setenv("CONTAINERS_STORAGE_CONF", str(storage))
        patch.setenv("BUILDAH_FORMAT", "docker")  # the one that knows HEALTHCHECK
        name = f"docker.io/library/{stages()[0].base.partition('@')[0]}"
        run("sh", "-c", f"tar -C {base} -c . | podman import - {name}")
        yield


@pytest.fixture(scope="module")
def compose(engine: None, wheels: Path) -> Iterator[tuple[str, ...]]:
    """The image built, the compose file up; gives the words that run podman-compose."""
    # The stand-in for the base has a tag and other bytes.
    stood_in = FOLDER / "Dockerfile"
    text = Path("Dockerfile").read_text("utf-8")
    stood_in.write_text(re.sub(r"@sha256:[0-9a-f]{64}", "", text))
    run(
        *(
            "podman",
            "build",
            "-f",
            stood_in,
            "--isolation",
            "chroot",
            "--network",
            "host",
            "--pull=never",
        ),
        *("-v", f"{wheels}:/wheels:ro", "--env", "PIP_NO_INDEX=1"),
        *("--env", "PIP_FIND_LINKS=/wheels", "-t", "gemini-api-proxy", "."),
    )
    tools = FOLDER / "tools"
    if not (tools / "bin/podman-compose").exists():
        run(sys.executable, "-m", "venv", tools)
        run(tools / "bin/pip", "install", "--quiet", "podman-compose")
    words = (str(tools / "bin/podman-compose"), "-p", "gp-test")
    run(*words, "down", "-v", code=None)
    try:
        run(*words, "up", "-d", "--no-build", UPSTREAM="demo")
        yield words
    finally:
        run(*words, "down", "-v", code=None)


def inside(script: str, code: int | None = 0) -> str:
    return run("podman", "exec", "gp-test_gemini-api-proxy_1", "sh", "-c", script, code=code)


def ask(url: str, *headers: str) -> str:
    """The status that this machine gets."""
    more = [word for header in headers for word in ("-H", header)]
    return run("curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", *more, url)


def test_the_container_answers_this_computer_without_a_key(compose: tuple[str, ...]) -> None:
    """Through the published port a request comes from the gateway, which the file trusts."""
    for _ in range(100):
        if "/setup" in run(*compose, "logs") or "Dashboard" in run(*compose, "logs"):
            break
        time.sleep(0.1)
    assert "No key needed from: gateway" in run(*compose, "logs")
    assert ask("http://localhost:8080/v1/models") == "200"
    assert ask("http://localhost:8080/") == "200"
    run("podman", "healthcheck", "run", "gp-test_gemini-api-proxy_1")


def test_another_container_needs_the_key(compose: tuple[str, ...]) -> None:
    """It comes from its own address, and calls the service by its name."""
    key = inside("python /app/main.py --show-key").strip()
    script = """
import http.client, sys
c = http.client.HTTPConnection("gemini-api-proxy", 8080, timeout=10)
for headers in ({}, {"x-api-key": sys.argv[1]}, {"x-forwarded-for": "127.0.0.1"}):
    c.request("GET", "/v1/models", headers=headers)
    r = c.getresponse(); r.read()
    print(r.status)
"""
    said = run(
        *("podman", "run", "--rm", "--network", "gp-test_default", "--entrypoint", "python"),
        *("gemini-api-proxy", "-c", script, key),
    )
    assert said.split()[:3] == ["401", "200", "401"]  # then what podman has to say
    assert ask("http://localhost:8080/v1/models", "x-forwarded-for: 127.0.0.1") == "401"
    assert ask("http://localhost:8080/v1/models", "host: evil.example") == "421"


def test_the_container_can_write_its_data_only(compose: tuple[str, ...]) -> None:
    assert inside("id -u").strip() == "10001"
    assert "Read-only" in inside("touch /app/new", code=1)
    assert "0000000000000000" in inside("grep CapEff /proc/self/status")
    assert "NoNewPrivs:\t1" in inside("grep NoNewPrivs /proc/self/status")
    assert inside("stat -c '%U %a' /data/api_key").strip() == "gemini 600"


def test_the_container_ends_cleanly_and_keeps_its_data(compose: tuple[str, ...]) -> None:
    key = inside("cat /data/api_key")
    run(*compose, "stop")
    state = json.loads(run("podman", "inspect", "gp-test_gemini-api-proxy_1"))[0]["State"]
    assert state["ExitCode"] == 0
    run(*compose, "start")
    assert inside("cat /data/api_key") == key


def test_the_container_obeys_the_lines_of_the_document(compose: tuple[str, ...]) -> None:
    """docs/server.md, with podman-compose where it says docker compose."""
    for line in commands("docs/server.md"):
        _, found, words = line.partition("docker compose ")
        if found and not words.startswith("up "):  # that is how the fixture starts it
            words = words.replace("exec ", "exec -T ")
            assert run(*compose, *shlex.split(words), UPSTREAM="demo").strip()
    assert "--build" in run(*compose, "up", "--help")


async def test_somebody_signs_in_by_pasting_the_address(compose: tuple[str, ...]) -> None:
    """In a browser elsewhere: Google's last page does not load there, its address is pasted."""
    port, name = free_port(), "gp-sign-in"
    google = "http://127.0.0.1:9999"  # the fake one, beside the proxy in the container
    given = {
        "CODE_ASSIST_ENDPOINT": google,
        "GOOGLE_OAUTH_CLIENT_FILE": "/data/client.json",
        "TRUSTED_NETWORKS": "gateway",
        "UPSTREAM": "code-assist",
    }
    environment = [word for pair in given.items() for word in ("-e", "=".join(pair))]
    confined = ("--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL")  # noqa: S108
    published = ("-p", f"127.0.0.1:{port}:8080")
    fakes = Path(__file__).parents[1] / "google"  # no part of the image
    faked = ("-v", f"{fakes}:/app/tests/google:ro")
    run("podman", "run", "-d", "--name", name, *confined, *published, *faked, *environment, IMAGE)
    try:
        fake = ("python", "-m", "tests.google", "--port", "9999")
        run(
            "podman", "exec", "-d", "-w", "/app", name, *fake, "--write-client", "/data/client.json"
        )
        async with httpx.AsyncClient(base_url=f"http://localhost:{port}", timeout=20) as browser:
            html = ""
            for _ in range(50):
                with contextlib.suppress(httpx.TransportError):
                    html = (await browser.get("/setup")).text
                if 'id="google-sign-in"' in html:
                    break
                await asyncio.sleep(0.2)
            follow = (
                "import http.client as h, sys, urllib.parse as u; p = u.urlsplit(sys.argv[1]); "
                "c = h.HTTPConnection(p.netloc); c.request('GET', p.path + '?' + p.query); "
                "print(c.getresponse().headers['location'])"
            )
            back = run("podman", "exec", name, "python", "-c", follow, sign_in_link(html))
            form = {"token": field(html, "token"), "action": "code", "state": field(html, "state")}
            origin = {"origin": f"http://localhost:{port}"}
            form["code"] = back.splitlines()[0]
            answer = await browser.post("/setup", data=form, headers=origin)
            assert "Signed in" in answer.text
            assert (await browser.get("/health")).json()["authenticated"] is True
        stat = run("podman", "exec", name, "stat", "-c", "%U %a", "/data/google_token.json")
        assert "gemini 600" in stat
    finally:
        run("podman", "rm", "-f", "-t", "3", "-v", name)


# The service

CHAT = """
import json, urllib.request
url = "http://127.0.0.1:8081/v1/chat/completions"
body = {"model": "gemini-2.5-flash", "messages": [{"role": "user", "content": "Hello"}]}
headers = {"content-type": "application/json"}
request = urllib.request.Request(url, json.dumps(body).encode(), headers)
print(urllib.request.urlopen(request).read().decode())
"""


class Machine:
    """A Debian on disk, entered by chroot, later booted."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.enter: tuple[str, ...] = ("chroot", str(root))

    def run(self, script: str, code: int | None = 0) -> str:
        path = "PATH=/usr/sbin:/usr/bin:/sbin:/bin"
        return run(*self.enter, "env", "-i", path, "sh", "-ec", script, code=code)

    def answers(self, port: int) -> bool:
        """Whether the service does, within ten seconds."""
        url = f"http://127.0.0.1:{port}/health"
        asked = f"import urllib.request as u; print(u.urlopen('{url}', timeout=2).status)"
        for _ in range(50):
            if self.run(f'python3 -c "{asked}" 2>&1 || true').strip() == "200":
                return True
            time.sleep(0.2)
        return False


@pytest.fixture(scope="module")
def machine(debian: Path, wheels: Path) -> Iterator[Machine]:
    root = FOLDER / "machine"
    shutil.rmtree(root, ignore_errors=True)
    run("cp", "-a", debian, root)
    files = run("git", "ls-files", "-co", "--exclude-standard").split("\n")
    kept = [f for f in files if f and not f.startswith(("tests/", "docs/"))]
    (root / "srv/checkout").mkdir(parents=True, exist_ok=True)
    run("cp", "--parents", *kept, root / "srv/checkout")
    run("cp", "-r", wheels, root / "wheels")
    (root / "etc/pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
    made = Machine(root)
    yield made
    shutil.rmtree(root, ignore_errors=True)


def first_process(nspawn: int) -> str | None:
    """The machine's process 1; before it, nspawn has a child for a moment that only makes it."""
    for child in Path(f"/proc/{nspawn}/task/{nspawn}/children").read_text("ascii").split():
        with contextlib.suppress(OSError):
            if Path(f"/proc/{child}/comm").read_text("ascii").strip() == "systemd":
                return child
    return None


@pytest.fixture(scope="module")
def booted(machine: Machine) -> Iterator[Machine]:
    """The same machine, installed by chroot, then started: systemd is its process 1."""
    said = machine.run("test ! -e /usr/bin/python3; cd /srv/checkout && ./setup.sh")
    assert "Python 3.11 or newer with its venv module is missing; installing it." in said
    assert "systemd does not run here" in said
    boot = ("systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--private-network")
    with subprocess.Popen(
        [*boot, "-D", str(machine.root), "-b"], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as nspawn:
        chroot = machine.enter
        while (first := first_process(nspawn.pid)) is None:
            time.sleep(0.05)
        machine.enter = ("nsenter", "-t", first, "-a")
        try:
            machine.run("ip link set lo up; systemctl is-system-running --wait || true")
            yield machine
        finally:
            machine.enter = chroot
            nspawn.terminate()


def test_the_service_starts_at_boot_fully_confined(booted: Machine) -> None:
    """A drop-in chooses the demo, so that it can answer without a network."""
    assert booted.answers(8081)
    editing(booted, 'Environment="UPSTREAM=demo"')
    assert booted.answers(8081)
    (booted.root / "srv/ask.py").write_text(CHAT)
    said = booted.run("python3 /srv/ask.py")
    assert "choices" in said
    pid = booted.run("systemctl show -p MainPID --value gemini-api-proxy").strip()
    status = booted.run(f"cat /proc/{pid}/status")
    for line in ("NoNewPrivs:\t1", "Seccomp:\t2", "CapBnd:\t0000000000000000"):
        assert line in status
    assert "Traceback" not in booted.run("journalctl -u gemini-api-proxy -o cat --no-pager")


def editing(machine: Machine, *lines: str) -> None:
    """``systemctl edit`` with an editor that writes these lines, then a restart."""
    text = "\n".join(("[Service]", *lines, ""))
    (machine.root / "srv/wanted.conf").write_text(text)
    edit = "script -qec 'systemctl edit gemini-api-proxy' /dev/null"  # it insists on a terminal
    machine.run(f"export SYSTEMD_EDITOR='cp /srv/wanted.conf'; {edit}")
    machine.run("systemctl restart gemini-api-proxy")


def test_port_and_host_are_overridden_as_the_readme_shows(booted: Machine) -> None:
    booted.run("cd /srv/checkout && PORT=9001 ./setup.sh")
    assert booted.answers(9001)
    editing(booted, 'Environment="PORT=9000"', 'Environment="HOST=127.0.0.1"')
    assert booted.answers(9000)
    log = booted.run("journalctl -u gemini-api-proxy -o cat --no-pager")
    assert "Listening on 127.0.0.1, port 9000" in log
    said = booted.run("cd /srv/checkout && ./setup.sh")
    assert "The service runs. Set it up: http://127.0.0.1:9000/setup" in said


def test_the_service_obeys_the_lines_of_the_document(booted: Machine) -> None:
    for line in commands("docs/server.md"):
        bare = line.removeprefix("sudo ")
        if bare.startswith(("systemctl status", "systemctl restart", "journalctl", "cat ")):
            assert booted.run(bare).strip() or "restart" in bare


def test_a_port_below_1024_takes_what_the_document_says(booted: Machine) -> None:
    text = (CHECKOUT / "docs/server.md").read_text("utf-8")
    lines = re.findall(r"`((?:Ambient|CapabilityB|PrivateU)\w+=\w+)`", text)
    assert len(lines) == 3
    editing(booted, 'Environment="PORT=80"', *lines)
    assert booted.answers(80)
    editing(booted, 'Environment="PORT=9000"')
    assert booted.answers(9000)


def test_an_update_restarts_and_a_second_run_does_not(booted: Machine) -> None:
    pid = booted.run("systemctl show -p MainPID --value gemini-api-proxy")
    booted.run("cd /srv/checkout && ./setup.sh")
    assert booted.run("systemctl show -p MainPID --value gemini-api-proxy") == pid
    booted.run("echo '# newer' >> /srv/checkout/server/errors.py; cd /srv/checkout && ./setup.sh")
    assert booted.run("systemctl show -p MainPID --value gemini-api-proxy") != pid


def test_a_wrong_setting_is_told_and_does_not_restart_for_ever(booted: Machine) -> None:
    editing(booted, 'Environment="PORT=9000"', 'Environment="WAIT_MODE=perhaps"')
    said = booted.run("cd /srv/checkout && ./setup.sh", code=1)
    assert "WAIT_MODE" in said
    assert booted.run("systemctl show -p NRestarts --value gemini-api-proxy").strip() == "0"
    editing(booted, 'Environment="PORT=9000"')
    assert booted.answers(9000)


def test_uninstalling_stops_it_and_leaves_nothing(booted: Machine) -> None:
    booted.run("cd /srv/checkout && ./setup.sh --uninstall")
    assert "inactive" in booted.run("systemctl is-active gemini-api-proxy", code=None)
    assert booted.run(f"ls {DATA}")
    booted.run("cd /srv/checkout && ./setup.sh --uninstall --purge")
    places = f"{APP} {DATA} /etc/systemd/system/gemini-api-proxy*"
    assert booted.run(f"ls -d {places} 2>/dev/null || true") == ""
    booted.run("id gemini-api-proxy", code=1)
