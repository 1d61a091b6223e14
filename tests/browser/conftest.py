"""A JupyterLab as `make lab` starts it, and a Chromium that looks at it."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

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


def wait_until_it_listens(address, seconds=60):
    """JupyterLab prints its address a moment before it answers there."""
    parts = urlsplit(address)
    until = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((parts.hostname, parts.port), timeout=5).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.1)


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
        "WMLIB_RUN_DIR": str(tmp_path_factory.mktemp("run") / "empty"),
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
    wait_until_it_listens(address)
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
