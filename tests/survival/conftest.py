"""One stand for all tests here: its first run finds out what the frameworks have, which takes seconds."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.survival.kills import Proof
from tests.survival.stand import Stand


@pytest.fixture(scope="session")
def proof(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Proof]:
    """Return a stand with one undisturbed run."""
    made = Proof(Stand(Path(tmp_path_factory.mktemp("survival"))), ended_every=4)
    yield made
    made.stand.close()
