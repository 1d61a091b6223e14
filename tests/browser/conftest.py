"""A real JupyterLab in a real browser. CI installs Chromium and must not go without it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TOKEN = "a-token-for-the-tests"


@pytest.fixture(scope="session")
def page():
    executable = next(filter(None, map(shutil.which, NAMES)), None)
    if executable is None:
        message = f"no browser found (looked for {', '.join(NAMES)}): apt-get install chromium"
        if os.environ.get("WMLIB_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync"]
    quiet += ["--disable-component-update", "--no-first-run", "--disable-quic"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=quiet)
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        yield page
        browser.close()


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The address of a JupyterLab on a copy of the notebooks, so that running them changes nothing."""
    folder = tmp_path_factory.mktemp("lab")
    shutil.copytree(ROOT / "notebooks", folder / "notebooks")
    (folder / "data").symlink_to(ROOT / "data")
    settings = folder / "settings"
    settings.mkdir()
    # A windowed notebook detaches what is off the screen, and the test could not see it.
    overrides = {
        "@jupyterlab/notebook-extension:tracker": {"windowingMode": "none"},
        "@jupyterlab/apputils-extension:notification": {"fetchNews": "false", "checkForUpdates": False},
    }
    (settings / "overrides.json").write_text(json.dumps(overrides))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = open(folder / "lab.log", "w")  # noqa: SIM115 - the server writes to it until the end
    server = subprocess.Popen(
        [
            sys.executable, "-m", "jupyterlab", "--ip=127.0.0.1", f"--port={port}", "--no-browser",
            "--allow-root", f"--IdentityProvider.token={TOKEN}",
            f"--LabApp.app_settings_dir={settings}", f"--ServerApp.root_dir={folder}",
            f"--LabApp.workspaces_dir={folder / 'workspaces'}",
        ],
        env=os.environ | {"WMLIB_PROFILE": "smoke", "JUPYTER_CONFIG_DIR": str(folder / "config")},
        stdout=log, stderr=log,
    )  # fmt: skip
    address = f"http://127.0.0.1:{port}"
    for _ in range(240):
        try:
            urllib.request.urlopen(f"{address}/api?token={TOKEN}", timeout=1)
            break
        except OSError:
            assert server.poll() is None, (folder / "lab.log").read_text()
            time.sleep(0.25)
    yield address
    server.terminate()
    server.wait(20)
