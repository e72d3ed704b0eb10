"""Reference implementations that tests compare with: there if installed, demanded by CI."""

import importlib
import os
from types import ModuleType

import pytest


def oracle(name: str) -> ModuleType:
    """Import `name`, or skip the test and say why; fail it where CI promised every oracle."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if os.environ.get("MINIFT_REQUIRE_ORACLES") == "1":
            pytest.fail(f"MINIFT_REQUIRE_ORACLES=1, but the oracle {name!r} is missing: {error}")
        pytest.skip(f"the oracle {name!r} is not installed", allow_module_level=True)
