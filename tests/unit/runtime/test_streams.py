"""Outputs that are closed, full, left by their reader or poor in letters: nothing ends over them."""

import io
import os
import subprocess
import sys

import pytest

from wmlib.runtime.streams import Forgiving, forgiving_streams, tell


def full():
    """A file on a disk without room, written at each line."""
    return open("/dev/full", "w", buffering=1)


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (full, "No space left on device"),
        (closed, "closed file"),
        (lambda: None, "Bad file descriptor"),
        (lambda: io.TextIOWrapper(io.BytesIO(), "ascii"), "ascii"),
    ],
)
def test_what_can_not_be_written_is_told_and_does_no_harm(make, why):
    stream = Forgiving(make())
    for _ in range(3):
        assert stream.write("861 ± 111\n") == 10
        stream.flush()
    assert why in stream.lost
    assert why in tell("861 ± 111", make())


def test_what_can_be_written_is():
    stream = io.StringIO()
    assert tell("861 ± 111", stream) == "" and stream.getvalue() == "861 ± 111\n"


def test_an_output_without_the_letters_gets_others(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, "ascii"))
    with forgiving_streams():
        assert tell("861 ± 111, \N{SNOWMAN} \udcff", sys.stdout) == ""
    assert written.getvalue() == b"861 +- 111, ? ?\n"


def test_afterwards_all_is_as_before(monkeypatch):
    before = sys.stdout, sys.stderr
    with pytest.raises(SystemExit), forgiving_streams():
        assert isinstance(sys.stderr, Forgiving)
        raise SystemExit(2)
    assert (sys.stdout, sys.stderr) == before


PROGRAM = """
import os, sys
from wmlib.runtime.streams import forgiving_streams
with forgiving_streams():
    file = open(os.devnull)
    assert file.fileno() > 2, file.fileno()
    print("x" * 100_000, end="")
    print("y" * 10, file=sys.stderr)
    sys.exit(3)
"""


@pytest.mark.parametrize(
    "outputs",
    [
        ">/dev/full 2>/dev/full",
        "<&- >&- 2>&-",
        "| true",
    ],
)
def test_a_program_ends_with_its_own_status_and_python_says_nothing(tmp_path, outputs):
    end = "; exit ${PIPESTATUS[0]}"
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -c '{PROGRAM}' {outputs}{end}"],
        capture_output=True, text=True, env=os.environ | {"PYTHONUNBUFFERED": ""},
    )  # fmt: skip
    assert done.returncode == 3
    assert done.stderr in ("", "y" * 10 + "\n")
