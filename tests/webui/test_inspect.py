"""The inspector's page: off at first, three sides while on, nothing after."""

import re
from html import unescape
from pathlib import Path

from tests.rig import Rig, running

CHAT = {"model": "gpt-4o", "messages": [{"role": "user", "content": "A word of mine"}]}


async def switch(rig: Rig, on: str) -> None:
    html = (await rig.http.get("/inspect")).text
    found = re.search(r'name="token" value="([^"]*)"', html)
    assert found
    answer = await rig.http.post("/inspect", data={"token": unescape(found[1]), "on": on})
    assert answer.status_code == 303


async def test_three_sides_of_a_request_while_it_is_on(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        await rig.http.post("/v1/chat/completions", json=CHAT)
        assert "A word of mine" not in (await rig.http.get("/inspect")).text
        await switch(rig, "yes")
        for stream in (False, True):
            await rig.http.post("/v1/chat/completions", json={**CHAT, "stream": stream})
        html = unescape((await rig.http.get("/inspect")).text)
        assert html.count("<section aria-labelledby") == 2
        assert '"content": "A word of mine"' in html
        assert '"text": "A word of mine"' in html
        assert '"finishReason": "STOP"' in html
        await switch(rig, "no")
        assert "A word of mine" not in (await rig.http.get("/inspect")).text


async def test_it_cannot_be_switched_on_from_elsewhere(tmp_path: Path) -> None:
    async with running(tmp_path) as rig:
        answer = await rig.http.post("/inspect", data={"on": "yes"})
        assert answer.status_code == 403
        assert not rig.gateway.pipeline.inspector.on
