"""The page in `web/`, served with both games as `export-web` makes them; and what torch says of them."""

import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from lab import ROOT
from playwright.sync_api import Page

from wmlib.agent import load_agent
from wmlib.cli import run_command
from wmlib.runtime.files import REFERENCE
from wmlib.worlds.imagination import Imagination

GAMES = ("carracing", "takecover")
QUICK = ["--steps", "60", "--dreams", "2"]  # what the games are like is not what is tested


def make_web(folder: Path) -> None:
    """All that a server needs, and the tests' own page beside it."""
    shutil.copytree(ROOT / "web", folder, ignore=shutil.ignore_patterns("data"))
    for name in ("numbers.html", "numbers.js"):
        shutil.copy(Path(__file__).with_name(name), folder)
    for game in GAMES:
        words = ["--task", game, "--out", str(folder / "data"), *QUICK]
        assert run_command("export-web", words) == 0


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@contextmanager
def serve(site: Path) -> Iterator[str]:
    """Python's own server, as the page tells its readers to use it. Gives its address."""
    handler = functools.partial(_Quiet, directory=site)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


KEYS = {"\ue013": "ArrowUp"}
"""WebDriver's codes for keys, and Playwright's names."""


class Chromium:
    """A tab with the words of `firefox.Firefox`."""

    def __init__(self, page: Page):
        self.page, self.session = page, page.context.new_cdp_session(page)
        self.errors: list[str] = []
        self.failed: list[str] = []
        page.on(
            "console", lambda said: said.type in ("error", "warning") and self.errors.append(said.text)
        )
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        # Who leaves a page breaks off what it was still loading: that is no failure of the page.
        page.on(
            "requestfailed",
            lambda request: request.failure != "net::ERR_ABORTED" and self.failed.append(request.url),
        )
        page.on("response", lambda answer: answer.status >= 400 and self.failed.append(answer.url))

    def goto(self, url: str) -> None:
        self.page.goto(url)

    def run(self, function: str, *arguments):
        return self.page.evaluate(f"given => ({function})(...given)", list(arguments))

    def key(self, value: str, down: bool) -> None:
        (self.page.keyboard.down if down else self.page.keyboard.up)(KEYS[value])

    def touch(self, x: int, y: int, down: bool) -> None:
        point = [{"x": x, "y": y}] if down else []
        kind = "touchStart" if down else "touchEnd"
        self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": point})


@torch.inference_mode()
def by_torch(game: str, steps: int = 20) -> dict:
    """A dream of the shipped agent under given chance, its last picture, and what V sees in a frame."""
    agent = load_agent(REFERENCE / game)
    task, Z, H = agent.task, agent.task.z_size, agent.task.hidden_size
    chance = torch.Generator().manual_seed(7)
    uniform = torch.rand(steps, Z, generator=chance)
    normal = torch.randn(steps, Z, generator=chance)
    start = z = agent.starts.mu[5:6]
    h = c = torch.zeros(1, H)
    imagination, told = Imagination(agent.mdnrnn, 1), {"z": [], "action": [], "foretold": []}
    for t in range(steps):
        features = task.features(z, h, c)
        action = agent.controller.act(agent.params[None], features[None])[0]
        seen = agent.mdnrnn.inputs(z, action, torch.tensor([t == 0]))
        z, h, c, foretold = imagination(seen, h, c, uniform[t : t + 1], normal[t : t + 1])
        for name, value in (("z", z), ("action", action), ("foretold", foretold)):
            told[name].append(value[0].tolist())
    frame = torch.rand(1, 3, 64, 64, generator=chance)
    mu, logvar = agent.vae.encode(frame)
    given = {"uniform": uniform, "normal": normal, "start": start[0], "mu": mu[0], "logvar": logvar[0]}
    rows = {"picture": agent.vae.decode(z), "frame": frame}  # row by row here, channel by channel there
    given |= {name: x[0].permute(1, 2, 0).flatten() for name, x in rows.items()}
    return {"game": game, **told, **{name: x.tolist() for name, x in given.items()}}
