"""The Docker image and its compose file. ``make test-servers`` builds and runs them with podman."""

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from server.settings.options import OPTIONS
from tests.install.dockerfile import build, stages
from tests.install.sandbox import CHECKOUT, Sandbox, sandbox
from tests.support import free_port

Json = dict[str, Any]


@pytest.mark.skipif(sys.platform == "win32", reason="not applicable: hadolint has no wheel there")
def test_hadolint_has_nothing_to_say() -> None:
    hadolint = str(Path(sys.executable).with_name("hadolint"))
    words = [hadolint, "--failure-threshold", "style", str(CHECKOUT / "Dockerfile")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_server_gets_the_same_versions_without_the_desktop() -> None:
    def pinned(name: str) -> set[str]:
        lock = (CHECKOUT / name).read_text("utf-8")
        return set(re.findall(r"^[a-z0-9.-]+==\S+", lock, re.MULTILINE))

    server, desktop = pinned("requirements-server.txt"), pinned("requirements.txt")
    assert server < desktop
    names = {line.partition("==")[0] for line in server}
    assert names.isdisjoint({"pystray", "pywebview", "proxy-tools"})


def test_every_base_is_pinned_to_the_bytes_of_one_small_image() -> None:
    """A tag moves. Whether the digest is that of the tag today, only the registry can say."""
    (base,) = {stage.base for stage in stages()}
    assert re.fullmatch(r"python:3\.13-slim-bookworm@sha256:[0-9a-f]{64}", base)


def test_a_setting_that_is_wrong_is_not_tried_for_ever() -> None:
    service = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text("utf-8"))["services"]
    assert re.fullmatch(r"on-failure:[1-9]", service["gemini-api-proxy"]["restart"])


def test_the_last_stage_runs_as_nobody_special_and_tells_where_it_writes() -> None:
    last = stages()[-1]
    assert int(last.one("USER").partition(":")[0]) > 1000
    environment = last.environment()
    assert environment["PORT"] == last.one("EXPOSE") == "8080"
    assert environment["DATA_DIR"] == last.one("VOLUME") == "/data"
    assert last.one("STOPSIGNAL") == "SIGTERM"
    assert last.entry()[-1] == "--headless"


def test_nothing_but_the_program_gets_into_the_image() -> None:
    """What is copied is what .dockerignore lets through, and that exists."""
    let_through = set()
    for line in (CHECKOUT / ".dockerignore").read_text("utf-8").splitlines():
        if line.startswith("!"):
            let_through.add(line[1:])
    copied = {
        source
        for stage in stages()
        for text in stage.all("COPY")
        if not text.startswith("--from=")
        for source in text.split()[:-1]
    }
    assert copied == let_through
    assert all((CHECKOUT / name).exists() for name in copied)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The Dockerfile's steps performed on this machine's system instead of the base image."""
    folder = tmp_path_factory.mktemp("image")
    with sandbox(folder) as machine:
        build(machine)
        yield machine


def container(command: str, **environment: str) -> str:
    """A script that runs as the image does: its user, read-only root, /data and /tmp writable."""
    last = stages()[-1]
    user, _, group = last.one("USER").partition(":")
    pairs = {**last.environment(), "HOME": "/data", **environment}
    words = " ".join(shlex.quote(f"{name}={value}") for name, value in pairs.items())
    drop = "--clear-groups --no-new-privs --bounding-set=-all --inh-caps=-all"
    script = f"""
        mount -t tmpfs -o mode=700,uid={user},gid={group} data /data
        mount -o remount,bind,ro /
        as_user="setpriv --reuid {user} --regid {group} {drop} env -i {words}"
        cd {last.one("WORKDIR")}
        {command}
    """
    return f"unshare --mount sh -ec {shlex.quote(script)}"


def test_it_serves_from_a_read_only_root_and_ends_cleanly(image: Sandbox) -> None:
    last, port = stages()[-1], free_port()
    said = image.run(
        container(
            f"""
        if touch /app/new 2> /dev/null; then echo writable; fi
        $as_user {shlex.join(last.entry())} > /tmp/log 2>&1 & pid=$!
        for _ in $(seq 900); do
            $as_user {shlex.join(last.health())} 2> /dev/null && echo healthy && break
            sleep 0.1
        done
        kill -TERM $pid
        wait $pid && echo ended cleanly
        $as_user {shlex.join(last.health())} 2> /dev/null || echo ill
        ls -l /data; cat /tmp/log
        """,
            PORT=str(port),
        )
    )
    for part in ("healthy", "ended cleanly", "ill", f"http://127.0.0.1:{port}/setup", "api_key"):
        assert part in said, said
    assert "Traceback" not in said
    assert "writable" not in said


@pytest.fixture(scope="module")
def service() -> Json:
    compose = yaml.safe_load((CHECKOUT / "docker-compose.yml").read_text("utf-8"))
    assert set(compose) == {"services", "volumes"}
    (found,) = compose["services"].values()
    assert isinstance(found, dict)
    return found


def test_compose_publishes_on_this_computer_only(service: Json) -> None:
    assert service["ports"] == ["127.0.0.1:8080:8080"]
    assert service["environment"]["TRUSTED_NETWORKS"] == "gateway"
    assert service["environment"]["ALLOWED_HOSTS"] == "gemini-api-proxy"


def test_compose_gives_the_container_nothing_it_does_not_need(service: Json) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["tmpfs"] == ["/tmp"]  # noqa: S108  # in the container
    assert service["volumes"] == ["data:/data"]


def test_compose_passes_on_settings_that_exist(service: Json) -> None:
    """Names without a value come from the shell or .env; unset ones stay unset."""
    assert set(service["environment"]) <= set(OPTIONS)
    secret = [name for name in service["environment"] if OPTIONS[name].secret]
    assert all(service["environment"][name] is None for name in secret)
