"""A real OpenID provider, one for all tests of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.security import people


@pytest.fixture(scope="module")
def provider(requires: Callable[[str, str], Path]) -> Iterator[people.Provider]:
    """A provider whose keys may be changed; whoever ends it makes one of their own."""
    with people.provider(requires("node", "nodejs"), requires("npm", "npm")) as running:
        yield running
