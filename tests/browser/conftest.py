"""A JupyterLab as `make lab` starts it, and a Chromium that looks at it."""

import json
import os
import re
import shutil
import signal
import subprocess
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


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
def lab_address(chromium, tmp_path_factory):
    """Run `make lab` and return the address that it prints."""
    settings = tmp_path_factory.mktemp("settings")
    # JupyterLab takes cells that are off the screen out of the page; a test wants to see them all.
    chosen = settings / "@jupyterlab" / "notebook-extension" / "tracker.jupyterlab-settings"
    chosen.parent.mkdir(parents=True)
    chosen.write_text(json.dumps({"windowingMode": "none"}))
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "BROWSER": "true",  # a program that opens nothing: the test brings its own browser
        "WMLIB_PROFILE": "smoke",
    }
    environment.pop("MAKEFLAGS", None)
    server = subprocess.Popen(
        ["make", "lab"], cwd=ROOT, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    seen: list[str] = []
    address = None
    for line in server.stdout:
        seen.append(line)
        found = re.search(r"http://127\.0\.0\.1:\d+/lab\S*token=\S+", line)
        if found:
            address = found.group()
            break
    if address is None:
        pytest.fail("make lab gave no address:\n" + "".join(seen))
    threading.Thread(target=server.stdout.read, daemon=True).start()  # keep its pipe empty
    yield address
    os.killpg(server.pid, signal.SIGTERM)
    server.wait(30)


@pytest.fixture
def page(chromium):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1300, "height": 1000})
        yield page
        browser.close()
