"""A headless Firefox, by WebDriver BiDi, which Firefox itself speaks: no driver is needed beside it.

Playwright drives only a Firefox of its own making, and Selenium needs geckodriver, which Debian lacks.
"""

import itertools
import json
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from websocket import WebSocket, create_connection

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
_EVENTS = ["log.entryAdded", "network.fetchError", "network.responseCompleted"]


class Firefox:
    """One tab. errors: what the console complained of. failed: requests that came to nothing."""

    def __init__(self, socket: WebSocket):
        self.socket, self.numbers = socket, itertools.count(1)
        self.errors: list[str] = []
        self.failed: list[str] = []
        self.ask("session.new", capabilities={})
        self.ask("session.subscribe", events=_EVENTS)
        (tab, *_) = self.ask("browsingContext.getTree")["contexts"]
        self.tab = tab["context"]

    def ask(self, method: str, **params) -> dict:
        """One command; events that come before its answer are noted."""
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while (said := json.loads(self.socket.recv())).get("id") != number:
            self._note(said)
        if said["type"] != "success":
            raise RuntimeError(f"{method}: {said['error']}: {said['message']}")
        return said["result"]

    def _note(self, event: dict) -> None:
        params = event.get("params", {})
        if event.get("method") == "log.entryAdded":
            if params["level"] in ("error", "warn"):
                self.errors.append(params["text"])
        elif "request" in params and params.get("response", {"status": 999})["status"] >= 400:
            self.failed.append(params["request"]["url"])

    def goto(self, url: str) -> None:
        self.ask("browsingContext.navigate", context=self.tab, url=url, wait="complete")

    def run(self, function: str, *arguments):
        """What a function of JavaScript gives, called in the page; all of it as JSON."""
        given = ", ".join(json.dumps(argument) for argument in arguments)
        text = f"(async () => JSON.stringify(await ({function})({given}) ?? null))()"
        where = {"target": {"context": self.tab}, "awaitPromise": True}
        answer = self.ask("script.evaluate", expression=text, **where)
        if answer["type"] == "exception":
            raise RuntimeError(answer["exceptionDetails"]["text"])
        return json.loads(answer["result"]["value"])

    def key(self, value: str, down: bool) -> None:
        """Press or let go a key, by WebDriver's code for it."""
        act = {"type": "keyDown" if down else "keyUp", "value": value}
        self._act({"type": "key", "id": "keyboard", "actions": [act]})

    def touch(self, x: int, y: int, down: bool) -> None:
        """Put a finger down on the page, or lift it."""
        acts = [{"type": "pointerMove", "x": x, "y": y}, {"type": "pointerDown", "button": 0}]
        acts = acts if down else [{"type": "pointerUp", "button": 0}]
        kind = {"parameters": {"pointerType": "touch"}}
        self._act({"type": "pointer", "id": "finger", "actions": acts, **kind})

    def _act(self, source: dict) -> None:
        self.ask("input.performActions", context=self.tab, actions=[source])


@contextmanager
def start_firefox(firefox: str) -> Iterator[Firefox]:
    """A browser with a profile of its own, ended afterwards."""
    with tempfile.TemporaryDirectory(prefix="firefox-") as profile:
        command = [firefox, "--headless", "--no-remote", "--profile", profile]
        process = subprocess.Popen(
            [*command, "--remote-debugging-port=0", "--width=1200", "--height=900", "about:blank"],
            stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        try:
            for line in process.stderr:
                if found := re.search(r"WebDriver BiDi listening on (ws://\S+)", line):
                    break
            else:
                raise RuntimeError("Firefox said nothing of WebDriver BiDi")
            threading.Thread(target=process.stderr.read, daemon=True).start()  # keep its pipe empty
            # Firefox refuses who comes from a page, and takes an Origin for a sign of that.
            socket = create_connection(f"{found[1]}/session", timeout=120, suppress_origin=True)
            yield Firefox(socket)
            socket.close()
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
