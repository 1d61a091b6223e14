import signal
import time

import pytest

from wmlib.runtime.signals import Stop, stops_on_signals


class _InterruptedWhileDeleted:
    def __del__(self):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_amid_a_deletion_is_not_lost():
    with pytest.raises(KeyboardInterrupt), stops_on_signals():
        _InterruptedWhileDeleted()
        time.sleep(10)


def test_sigterm_is_like_ctrl_c_and_only_inside():
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt), stops_on_signals():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_stop_waits_for_the_end_of_its_block_and_the_second_one_does_not():
    reached = []
    with pytest.raises(KeyboardInterrupt), Stop() as stop:
        signal.raise_signal(signal.SIGINT)
        reached.append(stop.wanted)
    assert reached == [True]
    with pytest.raises(KeyboardInterrupt), Stop():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        reached.append("beyond")
    assert reached == [True]


def test_what_must_not_be_left_half_done_is_not():
    reached = []
    with pytest.raises(KeyboardInterrupt), Stop(obeys_twice=False):
        for _ in range(3):
            signal.raise_signal(signal.SIGINT)
        reached.append("the end")
    assert reached == ["the end"]
