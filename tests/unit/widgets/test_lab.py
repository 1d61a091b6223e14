"""The connection that `make lab` gives to JupyterLab."""

import importlib
import re
from pathlib import Path

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

from wmlib.widgets.lab import PromptConnection

ROOT = Path(__file__).parents[3]


def test_answers_do_not_wait_from_the_moment_that_the_browser_is_connected(monkeypatch):
    done = []

    class Handler(KernelWebsocketHandler):
        def __init__(self):
            pass

        def set_nodelay(self, value):
            done.append(("nodelay", value))

    def connect(self):
        done.append("connect")
        return "connected"

    monkeypatch.setattr(ZMQChannelsWebsocketConnection, "connect", connect)
    connection = PromptConnection(websocket_handler=Handler())
    assert connection.connect() == "connected"
    assert done == [("nodelay", True), "connect"]


def test_make_lab_names_it():
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (name,) = re.findall(r"kernel_websocket_connection_class=(\S+)", makefile)
    module, _, attribute = name.rpartition(".")
    assert getattr(importlib.import_module(module), attribute) is PromptConnection
