"""The stages of a run: each is its part called by hand, and none is done twice."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from wmlib.agent import load_agent
from wmlib.config import CollectConfig, Machine, RunConfig
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.job import Job
from wmlib.runtime.log import read_events
from wmlib.stages.collect import collect
from wmlib.stages.pipeline import Pipeline
from wmlib.task import find_profile
from wmlib.worlds import play


def test_a_stage_is_its_part_called_by_hand_and_is_not_done_twice(tmp_path, task, capsys):
    config = RunConfig(collect=CollectConfig(episodes=2, horizon=6), machine=Machine(1, 2))
    pipeline = Pipeline(config, tmp_path / "run")
    pipeline.run_stage("collect")
    expected = collect(task, config.collect, config.machine, Job("collect", path=tmp_path / "by hand"))
    for ours, theirs in zip(pipeline.files.store(), expected, strict=True):
        np.testing.assert_array_equal(ours.frames, theirs.frames)
        np.testing.assert_array_equal(ours.actions, theirs.actions)
    rows = read_events(tmp_path / "run")
    assert rows[0]["began"] and rows[-1]["done"] and rows[-1]["wall_seconds"] > 0
    assert [row["seed"] for row in rows[1:-1]] == [0, 1]
    capsys.readouterr()
    pipeline.run_stage("collect")
    assert "collect: done before" in capsys.readouterr().err
    assert read_events(tmp_path / "run") == rows


def tree(folder):
    """All that a folder holds."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_a_stage_whose_beginnings_are_missing_leaves_no_trace(tmp_path):
    for folder in (tmp_path, tmp_path / "not" / "yet"):
        with pytest.raises(
            ArtifactError, match=r"vae needs collect.*first run: python -m wmlib collect"
        ):
            Pipeline(RunConfig(), folder, quiet=True).run_stage("vae")
        assert not tree(tmp_path)


def no_agent(config):
    return replace(config, collect=replace(config.collect, policy="agent", agent="nowhere"))


@pytest.mark.parametrize(
    ("stage", "change", "message"),
    [
        ("collect", lambda c: replace(c, seed=9), "holds episodes of another configuration"),
        ("collect", no_agent, "controller.safetensors is missing"),
        ("vae", lambda c: replace(c, seed=9), "vae needs collect"),
        ("mdnrnn", lambda c: replace(c, vae=replace(c.vae, steps=9)), "mdnrnn needs vae"),
        ("iterate", lambda c: find_profile("smoke", "takecover"), "iterate needs collect"),
    ],
)
def test_a_stage_that_is_refused_changes_nothing(smoke_run, stage, change, message):
    """Of a finished run, the task included."""
    before = tree(smoke_run)
    with pytest.raises(ArtifactError, match=message):
        Pipeline(change(find_profile("smoke")), smoke_run, quiet=True).run_stage(stage)
    assert tree(smoke_run) == before


def test_the_lock_is_held_from_the_first_stage_to_the_last(tmp_path, monkeypatch, smoke_run):
    folder = shutil.copytree(smoke_run, tmp_path / "run")
    pipeline, others = Pipeline(find_profile("smoke"), folder), []

    def slip_in(text):
        with pytest.raises(ArtifactError, match="another run is at work") as refused:
            Pipeline(find_profile("smoke"), folder, quiet=True).run_stage("vae")
        others.append(refused)

    monkeypatch.setattr(pipeline.log, "say", slip_in)
    pipeline.run(["collect", "vae", "mdnrnn"])
    assert len(others) == 3  # "done before", between the stages


def test_the_last_stage_scores_what_play_earns(smoke_run):
    agent, config = load_agent(smoke_run), find_profile("smoke").evaluate
    with agent.real(config.episodes, Machine(lanes=4), config.horizon) as world:
        seeds = config.first_seed + np.arange(config.episodes)
        returns = play(world, agent.controller, agent.params[None], seeds)[0]
    score = json.loads((smoke_run / "score.json").read_text())
    np.testing.assert_allclose(score["returns"], returns, atol=0.005)


def test_more_generations_are_added_to_those_that_are_there(tmp_path, smoke_run):
    folder = tmp_path / "run"
    shutil.copytree(smoke_run, folder)
    before = read_events(folder)
    smoke = find_profile("smoke")
    more = replace(smoke.dream, generations=smoke.dream.generations + 1)
    Pipeline(replace(smoke, dream=more), folder, quiet=True).run_stage("dream")
    added = read_events(folder)[len(before) :]
    assert [row["step"] for row in added if "mean" in row] == [smoke.dream.generations + 1]
