"""The developer's fake, started as a program."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import httpx
import pytest

from tests.support import HANGS_S


@pytest.mark.skipif(os.name == "nt", reason="stopped by SIGINT")
async def test_it_prints_its_address_and_writes_a_client(tmp_path: Path) -> None:
    file = tmp_path / "client.json"
    chosen = ("--history", "old-paid", "--today", "2026-12-01")
    command = (sys.executable, "-m", "tests.google", "--write-client", str(file), *chosen)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    async with asyncio.timeout(HANGS_S):
        line = (await process.stdout.readline()).decode()
        base_url = line.split()[3]
        async with httpx.AsyncClient() as http:
            key = {"x-goog-api-key": "fake-api-key"}
            answer = await http.get(f"{base_url}/v1beta/models", headers=key)
            routed = await http.post(
                f"{base_url}/v1beta/models/gemini-2.5-pro:generateContent",
                headers=key,
                json={"contents": [{"parts": [{"text": "hi"}]}]},
            )
        process.send_signal(signal.SIGINT)
        assert await process.wait() == 130
    assert answer.json()["models"]
    assert routed.json()["modelVersion"] == "gemini-3.8-flash"
    assert json.loads(file.read_text())["installed"]["token_uri"] == f"{base_url}/token"
