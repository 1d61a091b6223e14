"""What `make lab` adds to JupyterLab: the kernel's answers reach the browser at once.

An answer comes in several small messages. Jupyter's server lets TCP gather them (Nagle's algorithm): the
second waits until the browser has confirmed the first, and the browser takes 40 ms over that. For a
slider, or for 30 frames a second, that is long.
"""

from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection


class PromptConnection(ZMQChannelsWebsocketConnection):
    """The usual connection of a browser to a kernel, without the wait."""

    def connect(self):
        self.websocket_handler.set_nodelay(True)
        return super().connect()
