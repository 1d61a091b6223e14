"""What `make lab` adds to JupyterLab: how it is started, and that its kernel's answers come at once.

An answer comes in several small messages. Jupyter's server lets TCP gather them (Nagle's algorithm): the
second waits until the browser has confirmed the first, and the browser takes 40 ms over that. For a
slider, or for 30 frames a second, that is long.
"""

import getpass
import os
import sys
import webbrowser
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection

_IN_A_TERMINAL = {"elinks", "links", "lynx", "w3m", "www-browser"}


class PromptConnection(ZMQChannelsWebsocketConnection):
    """The usual connection of a browser to a kernel, without the wait."""

    def connect(self):
        self.websocket_handler.set_nodelay(True)
        return super().connect()


def opens_window(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether there is a browser, and it opens where the user sits: not in the terminal, which
    JupyterLab needs, nor on another machine's screen. Over SSH only one that was chosen ($BROWSER) does:
    an editor that is connected to this machine brings one."""
    screen = environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY") or environ.get("BROWSER")
    if environ.get("SSH_CONNECTION") and not screen:
        return False
    try:
        name = webbrowser.get().name
    except webbrowser.Error:
        return False
    return Path(name).name not in _IN_A_TERMINAL


def way_in(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> str:
    """What to do where no browser opens."""
    words = [part for word in argv for part in word.split("=", 1)]
    port = words[words.index("--port") + 1] if "--port" in words[:-1] else "8888"
    ends = environ.get("SSH_CONNECTION", "").split()
    if len(ends) == 4:  # address and port of the client, then of the server
        return (
            "No browser is opened over SSH. On your own machine type\n"
            f"    ssh -N -L {port}:127.0.0.1:{port} {getpass.getuser()}@{ends[2]}\n"
            "and open there the last address that is printed below (its port should be the same)."
        )
    return (
        "No browser here: open the last address that is printed below. "
        f'In a container, publish its port {port} and start with: make lab ARGS="--ip=0.0.0.0"'
    )


def options(argv: Sequence[str], window: bool, root: bool) -> list[str]:
    """JupyterLab's options. Those in `argv` take the place of ours.

    Args:
        window: whether a browser may be opened. root: whether it runs as root, which it has to be told.
    """
    ours = {
        "--ip": "127.0.0.1",
        "--ServerApp.root_dir": ".",
        "--ServerApp.kernel_websocket_connection_class": "wmlib.widgets.lab.PromptConnection",
        "--LabApp.default_url": "/lab/tree/notebooks/00_start_here.ipynb",
    }
    chosen = {_trait(word) for word in argv}
    flags = {"--no-browser": not window, "--allow-root": root}
    return [
        *(f"{name}={value}" for name, value in ours.items() if _trait(name) not in chosen),
        *(flag for flag, needed in flags.items() if needed and flag not in argv),
        *argv,
    ]


def _trait(option: str) -> str:
    """--ServerApp.ip=0.0.0.0 and --ip are both ip."""
    return option.partition("=")[0].lstrip("-").rpartition(".")[2]


def main(argv: Sequence[str]) -> None:
    """Start JupyterLab on the first notebook, in the current folder."""
    from jupyterlab.labapp import LabApp

    window = opens_window() and "--no-browser" not in argv
    if not window:
        print(way_in(argv), flush=True)
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    LabApp.launch_instance(options(argv, window, root))


if __name__ == "__main__":
    main(sys.argv[1:])
