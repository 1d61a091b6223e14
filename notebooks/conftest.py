"""nbval gives a cell five seconds between two outputs; a cell that plays a game may take longer."""

import os
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item, "output_timeout"):
            item.output_timeout = 120


@pytest.hookimpl(tryfirst=True)  # before nbval starts the kernel, which inherits the environment
def pytest_runtest_setup(item):
    """Solutions are checked strictly: there an exercise that is not attempted is an error."""
    if hasattr(item, "cell"):
        strict = "solutions" in Path(item.fspath).parts
        os.environ["WMLIB_STRICT_CHECKS"] = "1" if strict else ""
