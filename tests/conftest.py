"""Options of the test run."""

from pathlib import Path

import pytest

AGENTS = Path(__file__).parent / "agents"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--agents", action="store_true", help="run real agents (npm) as well")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Real agents are installed by ``make test-agents`` only."""
    if config.getoption("--agents"):
        return None
    return True if collection_path == AGENTS else None
