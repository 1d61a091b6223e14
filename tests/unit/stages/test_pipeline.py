"""The stages of a run: each is its part called by hand, and none is done twice."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from wmlib.agent import load_agent
from wmlib.config import CollectConfig, Machine, RunConfig
from wmlib.runtime.files import ArtifactError
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


def test_a_stage_whose_beginnings_are_missing_leaves_no_trace(tmp_path):
    pipeline = Pipeline(RunConfig(), tmp_path, quiet=True)
    with pytest.raises(ArtifactError, match=r"vae needs collect.*first run: python -m wmlib collect"):
        pipeline.run_stage("vae")
    assert not read_events(tmp_path)


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
    more = dataclasses.replace(smoke.dream, generations=smoke.dream.generations + 1)
    Pipeline(dataclasses.replace(smoke, dream=more), folder, quiet=True).run_stage("dream")
    added = read_events(folder)[len(before) :]
    assert [row["step"] for row in added if "mean" in row] == [smoke.dream.generations + 1]
