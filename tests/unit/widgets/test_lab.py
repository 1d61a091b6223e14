"""The connection that `make lab` gives to JupyterLab."""

import importlib
import subprocess
import webbrowser
from pathlib import Path

import pytest
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from jupyter_server.services.kernels.websocket import KernelWebsocketHandler

from wmlib.widgets import lab
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


def test_it_is_named_to_jupyterlab():
    (name,) = (word for word in lab.options([], True, False) if "websocket_connection_class" in word)
    module, _, attribute = name.partition("=")[2].rpartition(".")
    assert getattr(importlib.import_module(module), attribute) is PromptConnection


def test_options_are_handed_on_and_take_the_place_of_ours():
    ours = lab.options([], window=True, root=False)
    assert (
        "--ip=127.0.0.1" in ours
        and "--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb" in ours
    )
    assert not {"--no-browser", "--allow-root"} & set(ours)
    for given in (["--ip=0.0.0.0"], ["--ip", "0.0.0.0"], ["--ServerApp.ip=0.0.0.0"]):
        words = lab.options([*given, "--no-browser"], window=False, root=True)
        assert "--ip=127.0.0.1" not in words and words[-len(given) - 1 :] == [*given, "--no-browser"]
        assert words.count("--no-browser") == 1 and "--allow-root" in words


def test_make_hands_them_on():
    words = ["make", "-n", "lab", "ARGS=--ip=0.0.0.0 --no-browser --port=9999"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert "-m wmlib.widgets.lab --ip=0.0.0.0 --no-browser --port=9999\n" in done.stdout


SSH = {"SSH_CONNECTION": "10.0.0.1 50000 10.0.0.2 22"}


@pytest.mark.parametrize("name", ["w3m", "/usr/bin/lynx", "links", "elinks", "www-browser"])
def test_a_browser_never_takes_the_terminal(monkeypatch, name):
    monkeypatch.setattr("webbrowser.get", lambda: webbrowser.GenericBrowser(name))
    assert not lab.opens_window({"TERM": "xterm"})
    assert not lab.opens_window({"BROWSER": name})


@pytest.mark.parametrize(
    ("environ", "opens"),
    [({"DISPLAY": ":0"}, True), (SSH, False), (SSH | {"DISPLAY": "localhost:10.0"}, True),
     (SSH | {"BROWSER": "/opt/editor/browser.sh"}, True), ({}, True)],
)  # fmt: skip
def test_a_browser_opens_where_the_user_sits(monkeypatch, environ, opens):
    monkeypatch.setattr("webbrowser.get", lambda: webbrowser.GenericBrowser("firefox"))
    assert lab.opens_window(environ) == opens


def test_without_any_browser_none_opens(monkeypatch):
    def none():
        raise webbrowser.Error

    monkeypatch.setattr("webbrowser.get", none)
    assert not lab.opens_window({"DISPLAY": ":0"})


def test_over_ssh_the_way_in_is_told():
    assert "ssh -N -L 8888:127.0.0.1:8888" in lab.way_in([], SSH)
    assert "@10.0.0.2\n" in lab.way_in([], SSH)
    for given in (["--port=9999"], ["--port", "9999"]):
        assert "-L 9999:127.0.0.1:9999" in lab.way_in(given, SSH)
        assert "port 9999" in lab.way_in(given, {}) and "--ip=0.0.0.0" in lab.way_in(given, {})
