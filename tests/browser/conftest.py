"""A JupyterLab for all tests, and a window of Chromium for each."""

import os

import pytest
from firefox import FIREFOX
from lab import CHROMIUM, ROOT, open_page, start_lab
from playwright.sync_api import sync_playwright

from web import make_web


@pytest.fixture(scope="session")
def chromium():
    """Path of the browser. Without one the tests are left out, unless CI says they must run."""
    if CHROMIUM is None:
        message = "no Chromium here: install chromium or google-chrome to run the browser tests"
        if os.environ.get("WMLIB_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return CHROMIUM


@pytest.fixture(scope="session")
def firefox():
    """Path of the other browser, under the same terms."""
    if FIREFOX is None:
        message = "no Firefox here: install firefox-esr to run its tests"
        if os.environ.get("WMLIB_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    return FIREFOX


@pytest.fixture(scope="session")
def lab_address(chromium, tmp_path_factory):
    before = _notebooks()
    with start_lab(tmp_path_factory.mktemp("lab")) as address:
        yield address
    changed = [path.name for path, said in _notebooks().items() if said != before.get(path)]
    assert not changed, "a test has saved what it did"


def _notebooks():
    folder = ROOT / "notebooks"  # without JupyterLab's checkpoints: it makes one of all that it opens
    paths = [*folder.glob("*.ipynb"), *(folder / "solutions").glob("*.ipynb")]
    return {path: path.read_bytes() for path in paths}


@pytest.fixture
def page(chromium):
    with sync_playwright() as playwright, open_page(playwright, chromium) as page:
        yield page


@pytest.fixture(scope="session")
def web(made_once):
    """The folder of the page in `web/`, with both games. Nobody writes there."""
    return made_once("web", make_web)
