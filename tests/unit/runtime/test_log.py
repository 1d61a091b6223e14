"""The journal: rows that survive a kill, and bars that can be silent."""

import errno
import io
import sys
import time

import pytest

from wmlib.runtime.files import ArtifactError
from wmlib.runtime.log import RunLog, read_events


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


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    RunLog(quiet=True).event("vae", 1)
    assert list(tmp_path.iterdir()) == [] and read_events(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ArtifactError, match=r"events\.jsonl can't be written.*--run-dir"):
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
