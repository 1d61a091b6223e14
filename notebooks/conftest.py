"""How nbval runs the notebooks: in their order, in one run folder, which begins empty."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item, "output_timeout"):  # five seconds between two outputs; a game may take longer
            item.output_timeout = 300


@pytest.hookimpl(tryfirst=True)  # before nbval starts the kernel, which inherits the environment
def pytest_runtest_setup(item):
    """Solutions are checked strictly: there an exercise that is not attempted is an error."""
    if hasattr(item, "cell"):
        strict = "solutions" in Path(item.fspath).parts
        os.environ["WMLIB_STRICT_CHECKS"] = "1" if strict else ""
        os.environ["WMLIB_RUN_DIR"] = _run_folder(item.session)


def _run_folder(session) -> str:
    if not hasattr(session, "wmlib_run_folder"):
        session.wmlib_run_folder = tempfile.mkdtemp(prefix="wmlib-course-")
    return session.wmlib_run_folder


def pytest_sessionfinish(session):
    shutil.rmtree(getattr(session, "wmlib_run_folder", ""), ignore_errors=True)
