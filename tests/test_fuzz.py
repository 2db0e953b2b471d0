"""Every fuzzing target with some inputs of hypothesis's own choice (``tests/fuzz``)."""

import os

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.fuzz.source import Seeded
from tests.fuzz.targets import TARGETS

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "60"))


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_not_expected_ends_as_documented(name: str) -> None:
    with TARGETS[name]() as target:

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate,),
        )
        @given(st.integers(0, 2**64))
        def run(seed: int) -> None:
            target(Seeded(seed))

        run()
