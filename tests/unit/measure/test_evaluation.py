"""Scores against hand-computed figures and scipy-free theory."""

import dataclasses
import tracemalloc

import numpy as np
import pytest
import torch

from wmlib.agent import Agent
from wmlib.cli import run_command
from wmlib.config import CollectConfig, EvaluateConfig, Machine
from wmlib.mdnrnn import MDNRNN
from wmlib.measure.evaluation import (
    bootstrap_interval,
    digest_of_agent,
    evaluate_policy,
    paired,
    score_of,
)
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.stages.collect import collect
from wmlib.task import find_task
from wmlib.vae import VAE
from wmlib.worlds.moments import DreamStarts

QUIET = RunLog(quiet=True)


def test_a_paired_difference_by_hand():
    mean, error = paired({1: 10.0, 2: 20.0, 3: 30.0}, {1: 13.0, 2: 21.0, 3: 35.0, 4: 900.0})
    assert mean == 3.0 and error == pytest.approx(2.0 / 3**0.5)  # 3, 1 and 5: their deviation is 2
    assert paired({1: 10.0}, {1: 12.0})[0] == 2.0 and np.isnan(paired({1: 10.0}, {1: 12.0})[1])
    assert np.isnan(paired({1: 10.0}, {2: 12.0})).all()


def test_a_score_by_hand():
    score = score_of(np.array([1.0, 2.0, 3.0, 6.0]), "carracing", "real", 7)
    assert (score.mean, score.n, score.first_seed) == (3.0, 4, 7)
    assert score.sd == pytest.approx(np.sqrt(14 / 3), abs=0.01)  # n - 1 in the denominator
    assert score.returns == [1.0, 2.0, 3.0, 6.0]
    assert score.ci95[0] < 3.0 < score.ci95[1] and "n = 4" in str(score)


def test_the_interval_is_the_textbooks_for_many_normal_returns():
    returns = np.random.default_rng(1).normal(800, 100, 400)
    low, high = bootstrap_interval(returns)
    half = 1.96 * returns.std() / np.sqrt(400)
    assert low == pytest.approx(returns.mean() - half, abs=1.0)
    assert high == pytest.approx(returns.mean() + half, abs=1.0)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(2)
    hits = 0
    for _ in range(200):
        low, high = bootstrap_interval(rng.exponential(1.0, 50), resamples=500)
        hits += low <= 1.0 <= high
    assert 0.86 <= hits / 200 <= 0.99


def test_the_interval_of_very_many_returns_needs_little_memory():
    """The same draws, some at a time: the whole of them, at once, is the oracle."""
    returns = np.random.default_rng(3).normal(size=30_000)
    tracemalloc.start()
    found = bootstrap_interval(returns, resamples=200)
    assert tracemalloc.get_traced_memory()[1] < 40e6
    tracemalloc.stop()
    picks = np.random.default_rng(0).integers(30_000, size=(200, 30_000))
    means = [returns[row].mean() for row in picks]
    assert found == pytest.approx(np.quantile(means, [0.025, 0.975]), rel=1e-12)


def test_the_same_returns_give_the_same_interval():
    assert bootstrap_interval(np.arange(9.0)) == bootstrap_interval(np.arange(9.0))


def test_an_explorer_scores_what_its_recorded_games_earn(tmp_path):
    task = find_task("takecover")
    recorded = CollectConfig(4, "strafing", horizon=90, first_seed=10)
    store = collect(task, recorded, Machine(lanes=2), Job("collect", path=tmp_path))
    expected = [store.rows[seed]["return"] for seed in store.seeds]
    for lanes in (1, 3):
        config, machine = EvaluateConfig(4, 10, 90), Machine(lanes=lanes)
        score = evaluate_policy(task, "strafing", config, machine, QUIET, "exact")
        assert score.returns == expected and score.player == "strafing"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["--task", "takecover", "--policy", "white"],
            "takecover knows agent, and in the real game uni",
        ),
        (["--policy", "white", "--world", "dream"], "carracing knows agent, and in the real game bro"),
        (["--policy", "white", "--run-dir", "runs"], "an explorer needs no --run-dir"),
    ],
)
def test_an_explorer_that_cannot_play_is_refused(words, message, capsys):
    assert run_command("evaluate", words) == 2
    assert message in capsys.readouterr().err


def test_an_agent_is_told_apart_by_all_that_it_is_made_of(task, vae, mdnrnn, controller, starts):
    agent = Agent(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)
    others = [
        dataclasses.replace(agent, vae=VAE(task.z_size).eval()),
        dataclasses.replace(agent, mdnrnn=MDNRNN(task).eval()),
        dataclasses.replace(agent, params=torch.ones(controller.size)),
        dataclasses.replace(agent, starts=DreamStarts(starts.mu + 1, starts.logvar)),
    ]
    assert digest_of_agent(dataclasses.replace(agent)) == digest_of_agent(agent)
    assert len({digest_of_agent(each) for each in (agent, *others)}) == 5
