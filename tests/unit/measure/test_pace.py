"""How long things take: the work of a profile by hand, and all kinds of work done a little."""

import dataclasses
import json

import pytest

from wmlib.agent import load_agent
from wmlib.config import RunConfig
from wmlib.measure import pace
from wmlib.runtime.place import REFERENCE
from wmlib.task import find_profile, find_task


def test_the_work_of_the_cars_laptop_profile_by_hand():
    work = pace.work_of(find_profile("laptop", "carracing"))
    assert list(work) == list(RunConfig().stages)
    assert work["collect"] == {"begin": 1000, "exact": 200_000, "see": 0}
    assert work["vae"] == {"vae": 300_000}
    assert work["mdnrnn"] == {"mdnrnn": 500 * 100 * 200, "see": 200_000}
    tests = 5 * 16  # after every sixth of 30 generations
    dreams = 30 * 64 * 16 * 200
    assert work["dream"] == {"dream": dreams, "begin": tests, "exact": tests * 1000, "see": tests * 1000}
    games = 30 * 32 * 3 + 32  # and those to which the coordinates are fitted
    tests = 5 * 32
    assert work["real"]["begin"] == games + tests
    assert work["real"]["exact"] == work["real"]["see"] == games * 750 + tests * 1000
    assert work["rounds"]["mdnrnn"] == 10 * 150 * 100 * 200
    assert work["rounds"]["dream"] == 10 * 15 * 64 * 16 * 200
    assert work["evaluate"] == {"begin": 100, "exact": 100_000, "see": 100_000}


def test_games_end_by_themselves_and_a_mirror_shows_them_twice():
    work = pace.work_of(find_profile("laptop", "takecover"))
    lasts = pace.LASTS["takecover"]
    assert work["collect"]["exact"] == 3200 * lasts.explorer < 3200 * find_task("takecover").horizon
    assert work["mdnrnn"]["see"] == 2 * work["collect"]["exact"]
    assert work["iterate"]["see"] > work["mdnrnn"]["see"] + 2 * 480 * lasts.agent


def test_a_look_alike_is_played_in_training_and_never_in_tests():
    work = pace.work_of(find_profile("overnight", "carracing"))
    assert work["refit"]["sketch"] > 0 and "exact" not in work["refit"]
    assert work["real"]["sketch"] > work["real"]["exact"] > 0
    assert "sketch" not in work["evaluate"]


def test_seconds_by_hand():
    costs = {"exact": 0.01, "begin": 2.0, "vae": 0.1}
    beyond = pace.BEYOND_OF_GAMES, pace.BEYOND["begin"]
    work = pace.Work({"exact": 300, "begin": 5, "see": 0})
    assert pace.seconds_for(work, costs) == pytest.approx(3 * beyond[0] + 10 * beyond[1])
    with pytest.raises(KeyError):
        pace.seconds_for(pace.Work(dream=1), costs)


def test_every_notebook_has_its_work():
    assert list(pace.notebook_work()) == [f"{number:02}" for number in range(7)]


def test_a_little_of_each_kind_of_work_is_done():
    costs = pace.costs_here(load_agent(REFERENCE / "carracing"), ["exact", "sketch"], 0.0)
    assert costs.keys() == {"begin", "exact", "sketch", "see", "vae", "mdnrnn", "dream"}
    assert all(0 < seconds < 60 for seconds in costs.values())
    assert costs["dream"] < costs["see"]  # a thousand at once, and without V


def test_a_run_is_compared_with_what_is_foretold(tmp_path, monkeypatch, capsys):
    costs = dict.fromkeys(("begin", "exact", "see", "vae", "mdnrnn", "dream"), 1e-3)
    monkeypatch.setattr(pace, "costs_here", lambda agent, games, moment: costs)
    config = dataclasses.asdict(find_profile("laptop"))
    (tmp_path / "config.json").write_text(json.dumps(config))
    rows = [
        {"stage": "vae", "step": 5, "loss": 1.0, "seconds": 1.0},
        {"stage": "vae", "step": -1, "done": True, "wall_seconds": 60.0, "seconds": 2.0},
    ]
    (tmp_path / "events.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    pace.main(tmp_path)
    said = 300 * pace.BEYOND["vae"]
    _, row = capsys.readouterr().out.splitlines()
    assert row.split() == ["vae", "60", f"{said:.0f}", f"{said / 60:.2f}"]
