"""Options of the test run."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests import surroundings

surroundings.leave()
# Every run tries the same examples and none is judged by the clock: what fails is a change's own.
# `--hypothesis-profile=search --hypothesis-seed=N` looks further.
settings.register_profile(
    "suite", derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("search", settings.get_profile("suite"), derandomize=False)
settings.load_profile("suite")

OPT_IN = {
    "--agents": Path(__file__).parent / "agents",
    "--servers": Path(__file__).parent / "install" / "test_servers.py",
}
"""What ``make test`` leaves out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--agents", action="store_true", help="run real agents (npm) as well")
    parser.addoption("--servers", action="store_true", help="run real containers as well")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Real agents and containers are asked for by name only."""
    left_out = {path for option, path in OPT_IN.items() if not config.getoption(option)}
    return True if collection_path in left_out else None
