"""How nbval runs the notebooks: in their order, in one run folder, which begins empty."""

import os
import shutil
import tempfile
from pathlib import Path
from unittest import mock

import pytest


def pytest_collection_modifyitems(items):
    for item in items:
        if hasattr(item, "output_timeout"):  # five seconds between two outputs; a game may take longer
            item.output_timeout = 300


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item):
    """The kernel that nbval starts inherits the environment; what is tested after it does not.

    Solutions are checked strictly: there an exercise that is not attempted is an error.
    """
    if not hasattr(item, "cell"):
        return (yield)
    strict = "1" if "solutions" in Path(item.fspath).parts else ""
    of_the_course = {"WMLIB_STRICT_CHECKS": strict, "WMLIB_RUN_DIR": _run_folder(item.session)}
    with mock.patch.dict(os.environ, of_the_course):
        return (yield)


def _run_folder(session) -> str:
    if not hasattr(session, "wmlib_run_folder"):
        session.wmlib_run_folder = tempfile.mkdtemp(prefix="wmlib-course-")
    return session.wmlib_run_folder


def pytest_sessionfinish(session):
    shutil.rmtree(getattr(session, "wmlib_run_folder", ""), ignore_errors=True)
