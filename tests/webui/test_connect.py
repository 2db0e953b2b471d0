"""The connect page: shows, applies, verifies and undoes, for this computer only."""

import re
from pathlib import Path

import pytest

from server import connect
from tests.browser.chromium import Browser
from tests.rig import Rig, running
from tests.support import WHEREABOUTS

MINE = '# mine\napproval_policy = "never"\n'


@pytest.fixture
def codex(home: Path) -> Path:
    """The user's own Codex configuration."""
    path = home / ".codex" / "config.toml"
    path.parent.mkdir()
    path.write_text(MINE)
    return path


def form_of(page: str, action: str, tool: str) -> dict[str, str]:
    """The hidden fields of one button."""
    for form in re.findall(r'<form method="post" action="/connect".*?</form>', page, re.DOTALL):
        fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
        if (fields["action"], fields["tool"]) == (action, tool):
            return fields
    raise AssertionError((action, tool))


async def press(rig: Rig, action: str, **more: str) -> tuple[int, str]:
    """Open the page, press a button of Codex, and follow."""
    page = (await rig.http.get("/connect")).text
    data = {**form_of(page, action, "codex"), **more}
    answer = await rig.http.post("/connect", data=data, follow_redirects=True)
    return answer.status_code, answer.text


async def test_apply_verify_and_undo(codex: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "data") as rig:
        page = (await rig.http.get("/connect")).text
        assert "+model_provider = &#34;gemini-proxy&#34;" in page
        status, page = await press(rig, "apply")
        assert status == 200
        assert "The settings are written." in page
        assert f'base_url = "{rig.url}/v1"' in codex.read_text()
        assert codex.read_text().startswith(MINE)
        status, page = await press(rig, "verify")
        assert "gemini-4-hydrogen answered: " in page
        (entry,) = (await rig.usage())["recent_requests"]
        assert entry["dialect"] == "openai-responses"
        status, page = await press(rig, "undo")
        assert "as they would be without us" in page
        assert codex.read_text() == MINE


async def test_the_demo_is_said_to_be_for_looking(tmp_path: Path) -> None:
    async with running(tmp_path / "data", upstream="demo") as rig:
        page = (await rig.http.get("/connect")).text
        assert "for looking, not for agents" in page
        assert "for agents: it repeats one line" in (await rig.http.get("/setup")).text
    async with running(tmp_path / "data") as rig:
        assert "for looking" not in (await rig.http.get("/connect")).text


async def test_what_wins_over_the_settings_is_on_the_page(
    codex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIDER_MODEL", "sonnet")
    async with running(tmp_path / "data") as rig:
        fields = form_of((await rig.http.get("/connect")).text, "apply", "aider")
        page = await rig.http.post("/connect", data=fields, follow_redirects=True)
        assert "settings written, but others win" in page.text
        assert "The environment sets AIDER_MODEL to sonnet, which wins over ours." in page.text
        verified = await rig.http.post("/connect", data=form_of(page.text, "verify", "aider"))
        assert "Not connected: The environment sets AIDER_MODEL" in verified.text
        assert "answered: " not in verified.text


async def test_a_page_older_than_the_file_changes_nothing(codex: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "data") as rig:
        page = (await rig.http.get("/connect")).text
        codex.write_text("x = 1\n")
        answer = await rig.http.post("/connect", data=form_of(page, "apply", "codex"))
        assert answer.status_code == 409
        assert "changed since this page was made" in answer.text
        assert codex.read_text() == "x = 1\n"


@pytest.mark.parametrize("token", ["", "wrong"])
async def test_a_form_that_is_not_ours_changes_nothing(
    token: str, codex: Path, tmp_path: Path
) -> None:
    async with running(tmp_path / "data") as rig:
        status, _ = await press(rig, "apply", token=token)
        assert status == 403
        assert codex.read_text() == MINE


async def test_a_visitor_from_elsewhere_reads_and_writes_no_file(
    codex: Path, tmp_path: Path
) -> None:
    """A proxy in front counts as elsewhere, key or no key."""
    async with running(tmp_path / "data") as rig:
        fields = form_of((await rig.http.get("/connect")).text, "apply", "codex")
        key = rig.gateway.access.generated_key
        assert key
        headers = {"x-forwarded-for": "192.0.2.7", "x-api-key": key}
        page = (await rig.http.get("/connect", headers=headers)).text
        assert "You are on another computer" in page
        assert "approval_policy" not in page
        assert '<form method="post" action="/connect"' not in page
        assert "wire_api" in page
        answer = await rig.http.post("/connect", data=fields, headers=headers)
        assert answer.status_code == 403
        assert codex.read_text() == MINE


async def test_our_docker_image_shows_sheets_only(
    codex: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("webui.connect.elsewhere", lambda _folder: "This server runs in Docker.")
    async with running(tmp_path / "data") as rig:
        page = (await rig.http.get("/connect")).text
        assert "This server runs in Docker." in page
        assert '<form method="post" action="/connect"' not in page


async def test_a_set_key_is_written_after_a_tick_and_never_shown(
    codex: Path, tmp_path: Path
) -> None:
    headers = {"x-api-key": "very-secret-key"}
    async with running(tmp_path / "data", api_keys=("very-secret-key",)) as rig:
        rig.http.headers.update(headers)
        page = (await rig.http.get("/connect")).text
        assert "very-secret-key" not in page
        assert "one of your API_KEY" in page
        fields = form_of(page, "apply", "claude-code")
        del fields["write_key"]
        answer = await rig.http.post("/connect", data=fields)
        assert answer.status_code == 409
        assert "Tick the box" in answer.text
        fields["write_key"] = "yes"
        answer = await rig.http.post("/connect", data=fields, follow_redirects=True)
        assert answer.status_code == 200
        assert "very-secret-key" not in answer.text
        settings = codex.parents[1] / ".claude" / "settings.json"
        assert "very-secret-key" in settings.read_text()
        fields = form_of(answer.text, "verify", "claude-code")
        assert "answered: " in (await rig.http.post("/connect", data=fields)).text


async def test_a_file_that_makes_no_sense_is_said(codex: Path, tmp_path: Path) -> None:
    codex.write_text("= =")
    async with running(tmp_path / "data") as rig:
        page = (await rig.http.get("/connect")).text
        assert "~/.codex/config.toml: It is not valid TOML" in page
        fields = form_of(page, "apply", "opencode")
        answer = await rig.http.post("/connect", data={**fields, "tool": "codex"})
        assert answer.status_code == 409
        for name in ("nothing", "cursor"):
            answer = await rig.http.post("/connect", data={**fields, "tool": name})
            assert answer.status_code == 400
        assert codex.read_text() == "= ="


async def test_every_tool_is_on_the_page(codex: Path, tmp_path: Path) -> None:
    async with running(tmp_path / "data") as rig:
        page = (await rig.http.get("/connect")).text
        for title in ("Claude Code", "VS Code", "Kilo Code", "JetBrains AI Assistant", "Cursor"):
            assert title in page
        assert "Cursor cannot reach this server" in page


@pytest.mark.parametrize("scripts", [True, False])
async def test_the_buttons_in_a_browser(
    scripts: bool, codex: Path, tmp_path: Path, browser: Browser
) -> None:
    async with running(tmp_path / "data") as rig:
        await browser("open", scripts=scripts)
        await browser("goto", url=f"{rig.url}/connect")
        await browser("see", selector=".diff .add", text='model_provider = "gemini-proxy"')
        await browser("click", selector="text=Apply (Codex)")
        await browser("see", selector="[role=status]", text="The settings are written.")
        await browser("click", selector="text=Verify with a request (Codex)")
        await browser("see", selector="[role=status]", text="gemini-4-hydrogen answered")
        await browser("click", selector="text=Undo (Codex)")
        await browser("see", selector="[role=status]", text="as they would be without us")
        assert codex.read_text() == MINE


def test_nobody_has_no_variable_that_leads_to_a_tool() -> None:
    """Each one that the tools look at is emptied, or these tests would see the developer's."""
    sources = Path(connect.__file__).parent.rglob("*.py")
    named = re.findall(r'\.named\(\s*"(\w+)"', "\n".join(path.read_text() for path in sources))
    assert set(named) == set(WHEREABOUTS)
