"""Starting real agents in a folder of their own, with nothing of the user's around them."""

import asyncio
import os
from pathlib import Path

BIN = Path(__file__).parent / "node_modules" / ".bin"
LONGEST_S = 60


async def run_agent(folder: Path, *command: str, **environ: str) -> str:
    """Run one agent to its end; its standard output. Fails with everything it said."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        str(BIN / command[0]),
        *command[1:],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(home), "IS_SANDBOX": "1", **environ},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"{command[0]} did not end: {out!r} {err!r}") from None
    assert process.returncode == 0, (out, err)
    return out.decode()
