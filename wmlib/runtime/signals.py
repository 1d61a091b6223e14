"""Ctrl-C and SIGTERM: work stops where it can be taken up again, and game processes don't hear them."""

import _thread
import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from multiprocessing import resource_tracker


class Stop:
    """Ctrl-C and SIGTERM, kept back until work has come to a point at which it can be left.

    Inside the `with` block a signal only sets `wanted`; at its end it does what it would have done. A
    second one does it at once, unless `obeys_twice` is False: for what is short and must not be left
    half done. Signals that are ignored, or end the process, stay as they are.
    """

    def __init__(self, obeys_twice: bool = True):
        self.wanted = False
        self.obeys_twice = obeys_twice
        self._signal: int | None = None
        self._previous: dict[int, Callable] = {}

    def __enter__(self) -> "Stop":
        if threading.current_thread() is threading.main_thread():  # only there they can be kept back
            for number in (signal.SIGINT, signal.SIGTERM):
                if callable(signal.getsignal(number)):
                    self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, error: type | None, *_) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if self.wanted and error is None:
            self._deliver()

    def _note(self, number: int, frame: object) -> None:
        again, self.wanted, self._signal = self.wanted, True, number
        if again and self.obeys_twice:
            self._deliver()

    def _deliver(self) -> None:
        self._previous[self._signal](self._signal, None)


@contextlib.contextmanager
def stops_on_signals() -> Iterator[None]:
    """SIGTERM becomes KeyboardInterrupt, so that both write the checkpoint and say how to go on.

    Python drops a KeyboardInterrupt that comes while an object is being deleted; in here it comes again.
    """

    def interrupt(*_):
        raise KeyboardInterrupt

    def dropped(error: object) -> None:
        if issubclass(error.exc_type, KeyboardInterrupt):
            # A moment later: raised in here it would be dropped again.
            threading.Timer(0.05, _terminate_main_thread).start()
        else:
            hook(error)

    previous, hook = signal.signal(signal.SIGTERM, interrupt), sys.unraisablehook
    sys.unraisablehook = dropped
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
        sys.unraisablehook = hook


def _terminate_main_thread() -> None:
    """SIGTERM to the main thread, which may be waiting for something."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident, signal.SIGTERM)
    else:  # on Windows
        _thread.interrupt_main(signal.SIGTERM)


@contextlib.contextmanager
def deaf_to_ctrl_c() -> Iterator[None]:
    """Processes that are started in here do not hear Ctrl-C: a mask is inherited.

    It does not keep Ctrl-C from this process, whose other threads may take the signal; `Stop` does.
    """
    if not hasattr(signal, "pthread_sigmask"):  # on Windows
        yield
        return
    resource_tracker.ensure_running()  # started later, it would lift the mask
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
