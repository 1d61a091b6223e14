"""The journal: rows that survive a kill, and bars that can be silent."""

import errno
import io
import os
import sys
import time
import tracemalloc

import numpy as np
import pytest

from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.log import RunLog, as_points, each_event, read_events
from wmlib.stages.export import wall_seconds


def test_rows_come_back_in_their_order_and_by_stage(tmp_path):
    began = time.time()
    log = RunLog(tmp_path / "run", quiet=True)  # the folder is made with the first row
    log.event("vae", 1, loss=0.5)
    log.event("mdnrnn", 2, parts={"nll": [1, 2]})
    log.event("vae", 3)
    rows = read_events(tmp_path / "run")
    assert [(row["stage"], row["step"]) for row in rows] == [("vae", 1), ("mdnrnn", 2), ("vae", 3)]
    assert rows[0]["loss"] == 0.5 and rows[1]["parts"] == {"nll": [1, 2]}
    assert [row["step"] for row in read_events(tmp_path / "run", "vae")] == [1, 3]
    assert began - 1 <= rows[0]["seconds"] <= rows[-1]["seconds"] <= time.time() + 1


def test_what_is_no_row_is_left_out_and_the_next_row_begins_a_line(tmp_path):
    log = RunLog(tmp_path, quiet=True)
    log.event("vae", 1)
    with open(tmp_path / "events.jsonl", "ab") as file:
        file.write(b'[1, 2]\n{"stage": "vae"}\n\xff\xfe\n{"stage": "va')  # the last one cut by a kill
    log.event("vae", 2)
    assert [row["step"] for row in read_events(tmp_path)] == [1, 2]


@pytest.mark.parametrize(
    "row",
    [
        '{"stage": "vae", "step": 1, "seconds": "late"}',
        '{"stage": "vae", "step": 1, "seconds": 1e999}',
        '{"stage": "vae", "step": 1, "seconds": NaN}',
        '{"stage": "vae", "step": 1, "seconds": 1' + "0" * 400 + "}",
        '{"stage": "vae", "step": null, "seconds": 1}',
        '{"stage": ["vae"], "step": 1, "seconds": 1}',
        '{"stage": ' + "[" * 100_000,
        '{"stage": "' + "x" * 2**21 + '", "step": 1, "seconds": 1}',
    ],
)
def test_an_odd_row_is_left_out_and_breaks_nothing_that_reads_them(tmp_path, row):
    log = RunLog(tmp_path, quiet=True)
    log.event("vae", 1, began=True)
    with open(tmp_path / "events.jsonl", "a") as file:
        file.write(row + "\n")
    log.event("vae", 2)
    assert [each["step"] for each in read_events(tmp_path)] == [1, 2]
    assert wall_seconds(each_event(tmp_path)).keys() == {"vae"}


def test_garbage_is_read_quickly_and_in_little_memory(tmp_path):
    log, chunk = RunLog(tmp_path, quiet=True), np.random.default_rng(0).bytes(2**22)
    log.event("vae", 1)
    with open(tmp_path / "events.jsonl", "ab") as file:
        for part in (chunk, bytes(2**22), b"\n" * 2**16, chunk):
            file.write(part)
        file.write(b"\n")
    log.event("vae", 2)
    tracemalloc.start()
    began = time.monotonic()
    assert [row["step"] for row in each_event(tmp_path)] == [1, 2]
    assert time.monotonic() - began < 2  # a gigabyte is 80 times as much
    assert tracemalloc.get_traced_memory()[1] < 2**23
    tracemalloc.stop()


def test_a_value_that_is_not_finite_becomes_null(tmp_path):
    RunLog(tmp_path, quiet=True).event("vae", 1, loss=float("nan"), parts=[float("inf"), 1.0])
    assert "NaN" not in (tmp_path / "events.jsonl").read_text()
    (row,) = read_events(tmp_path)
    assert row["loss"] is None and row["parts"] == [None, 1.0]


def test_a_journal_that_is_no_file_is_one_clear_error(tmp_path):
    os.mkfifo(tmp_path / "events.jsonl")
    with pytest.raises(
        ArtifactError, match=r"events\.jsonl is a named pipe, not a file; choose another"
    ):
        RunLog(tmp_path, quiet=True).event("vae", 1)
    with pytest.raises(ArtifactError, match=r"events\.jsonl is a named pipe, not a file; move it away"):
        read_events(tmp_path)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunLog(quiet=True).event("vae", 1)
    assert list(tmp_path.iterdir()) == [] and read_events(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match=r"events\.jsonl can't be written.*another folder"):
        RunLog(tmp_path / "file", quiet=True).event("vae", 1)


def test_quiet_is_quiet_and_else_progress_goes_to_stderr(capsys):
    for quiet in (True, False):
        log = RunLog(quiet=quiet)
        log.say("vae: done before")
        with log.bar(3, "vae", "batches", initial=1) as bar:
            bar.update(2)
        out, err = capsys.readouterr()
        assert out == ""
        assert ("vae: done before" in err and "3/3" in err) is not quiet
        assert err == "" or not quiet


class Full(io.StringIO):
    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("stream", [Full(), None])  # None: what Python makes of one that is closed
def test_a_run_goes_on_where_nobody_can_be_told(monkeypatch, stream):
    monkeypatch.setattr(sys, "stderr", stream)
    log = RunLog()
    with log.bar(3, "vae", "batches") as bar:
        log.say("vae: done before")
        for _ in range(3):
            bar.update()
            bar.refresh()
    assert bar.n == 3


def test_a_line_stands_above_the_bar(monkeypatch):
    """tqdm takes the bar away for it, if it knows both to be on the same stream."""
    shown = io.StringIO()
    monkeypatch.setattr(sys, "stderr", shown)
    log = RunLog()
    with log.bar(3, "vae", "batches"):
        log.say("a line")
    assert any(part.strip() == "a line" for part in shown.getvalue().replace("\n", "\r").split("\r"))


@pytest.mark.parametrize(
    ("points", "shown"), [(861.4, "861"), (-63.2, "-63"), (9.34, "9.34"), (-0.5, "-0.50"), (0.0, "0")]
)
def test_few_points_are_told_with_decimals(points, shown):
    assert as_points(points) == shown
