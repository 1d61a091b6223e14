"""A JupyterLab as `make lab` starts it, and what a reader does there: open a notebook, run it, look."""

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import nbformat
from playwright.sync_api import Locator, Page, Playwright, expect

ROOT = Path(__file__).parents[2]
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
SETTINGS = {
    # JupyterLab takes cells that are off the screen out of the page; we want to see them all.
    "notebook-extension/tracker": {"windowingMode": "none"},
    "docmanager-extension/plugin": {"autosave": False},  # what we do here is not to be kept
    "apputils-extension/notification": {"fetchNews": "false"},  # no question over the page
    "apputils-extension/themes": {"adaptive-theme": True},  # light or dark, as the browser wants it
}
PROMPTS = (
    "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)"
    ".filter(text => text)"  # a folded cell's is empty
)


@contextmanager
def start_lab(folder: Path, profile: str = "smoke") -> Iterator[str]:
    """Run `make lab` with settings, workspaces and run folder of its own. Gives its address."""
    for plugin, chosen in SETTINGS.items():
        file = folder / "settings" / "@jupyterlab" / f"{plugin}.jupyterlab-settings"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(chosen))
    environment = os.environ | {
        "JUPYTERLAB_SETTINGS_DIR": str(folder / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(folder / "workspaces"),
        "BROWSER": "true",  # a program that opens nothing: we bring our own browser
        "WMLIB_PROFILE": profile,
        "WMLIB_RUN_DIR": str(folder / "run"),
        "WMLIB_STRICT_CHECKS": "",
    }
    environment.pop("MAKEFLAGS", None)
    server = subprocess.Popen(
        ["make", "lab"], cwd=ROOT, env=environment, text=True, start_new_session=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said: list[str] = []
        for line in server.stdout:
            said.append(line)
            if found := re.search(r"http://127\.0\.0\.1:\d+/lab\S*token=\S+", line):
                break
        else:
            raise RuntimeError("make lab gave no address:\n" + "".join(said))
        threading.Thread(target=server.stdout.read, daemon=True).start()  # keep its pipe empty
        _wait_until_it_listens(found.group())
        yield found.group()
    finally:
        if server.poll() is None:
            os.killpg(server.pid, signal.SIGTERM)
            try:
                server.wait(60)  # it ends its kernels first
            except subprocess.TimeoutExpired:
                os.killpg(server.pid, signal.SIGKILL)  # kernels see that their parent is gone
                server.wait()


def _wait_until_it_listens(address: str, seconds: float = 60) -> None:
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


@contextmanager
def open_page(playwright: Playwright, chromium: str, **context) -> Iterator[Page]:
    """A window of a headless Chromium."""
    browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
    try:
        page = browser.new_page(viewport={"width": 1300, "height": 1000}, **context)
        page.set_default_timeout(120_000)  # two tests at a time, on a slow machine
        yield page
    finally:
        browser.close()


def address_of(lab_address: str, path: str) -> str:
    """Of a notebook; with `reset`, JupyterLab leaves closed what was open before."""
    parts = urlsplit(lab_address)
    token = parse_qs(parts.query)["token"][0]
    return f"{parts.scheme}://{parts.netloc}/lab/tree/{path}?reset&token={token}"


@contextmanager
def notebook(*cells: str) -> Iterator[str]:
    """A small notebook that the lab can open, for as long as it is needed. Gives its path there."""
    with tempfile.TemporaryDirectory(prefix="lab-", dir=_runs()) as folder:
        path = Path(folder) / "small.ipynb"
        new = nbformat.v4
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        cells = [new.new_code_cell(cell) for cell in cells]
        nbformat.write(new.new_notebook(cells=cells, metadata={"kernelspec": kernel}), path)
        yield str(path.relative_to(ROOT))


def _runs() -> Path:
    (ROOT / "runs").mkdir(exist_ok=True)
    return ROOT / "runs"


def open_and_run(page: Page, address: str, seconds: float = 600) -> list[str]:
    """Run all cells of a notebook anew, and wait for the last one.

    Returns:
        a list that collects the errors of the browser's console.
    """
    errors: list[str] = []

    def note(said) -> None:
        # JupyterLab asks its server for files that may be missing, and goes on without them.
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            errors.append(said.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    # What is asked of it before its kernel is there, JupyterLab forgets.
    page.wait_for_selector(".jp-StatusBar-Widget >> text=/Python 3.*Idle/", timeout=120_000)
    # The notebook comes with outputs; without them, what is seen below is what this run made.
    page.get_by_role("menuitem", name="Edit").click()
    page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
    page.wait_for_function(f"() => {PROMPTS}.every(text => !/\\d/.test(text))")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # Every cell has its number: none is waiting, none was left out.
    done = f"() => {PROMPTS}.every(text => /\\[\\d+\\]/.test(text))"
    page.wait_for_function(done, timeout=1000 * seconds)
    assert page.locator(".jp-RenderedText pre:has-text('Traceback')").count() == 0
    return errors


def wait_for_change(picture: Locator, before: str, what: str = "src") -> None:
    """Until an <img> shows something else, or a drawn line goes elsewhere ("d")."""
    expect(picture).not_to_have_attribute(what, before, timeout=30_000)
