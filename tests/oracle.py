"""What tests compare with: other libraries, a real model. There if installed, demanded by CI."""

import importlib
import os
from pathlib import Path
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


def minilm() -> Path:
    """The folder of the real MiniLM, which MINIFT_MINILM names; skip the test where it does not."""
    folder = os.environ.get("MINIFT_MINILM")
    if folder:
        return Path(folder)
    reason = "MINIFT_MINILM names no folder; `minift fetch minilm` brings one"
    if os.environ.get("MINIFT_REQUIRE_ORACLES") == "1":
        pytest.fail(f"MINIFT_REQUIRE_ORACLES=1, but {reason}")
    pytest.skip(reason)
