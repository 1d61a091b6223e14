"""Doom's TakeCover: the paper's numbers, its mirror image, who plays it blindly, and a whole run."""

import dataclasses
import json

import numpy as np
import pytest

from wmlib.config import ControllerConfig
from wmlib.controller import Controller
from wmlib.envs.games import Games
from wmlib.mdnrnn import MDNRNN
from wmlib.task import find_profile, find_task
from wmlib.tasks.takecover import Hands
from wmlib.vae import VAE, count_parameters

SEED = 1_500_004


@pytest.fixture
def task():
    return find_task("takecover")


def test_the_papers_numbers(task):
    paper = find_profile("paper", "takecover")
    assert (paper.dream.population, paper.dream.episodes, paper.dream.generations) == (64, 16, 1800)
    assert (paper.dream.sigma, paper.dream.weight_decay, paper.dream.tau) == (0.1, 0.01, 1.15)
    assert paper.dream.end == "cutoff" and paper.dream.coordinates.kind == "weights"
    assert (paper.collect.episodes, paper.collect.policy) == (10_000, "uniform")
    assert (paper.mdnrnn.sequence_length, paper.evaluate.episodes) == (500, 100)
    assert paper.controller == ControllerConfig(bias=False)
    cut_at = (paper.collect, paper.dream, paper.dream.validation, paper.evaluate, task)
    assert {each.horizon for each in cut_at} == {2100}  # a minute of 35 tics a second
    assert (task.z_size, task.hidden_size, task.mixtures, task.feature_size) == (64, 512, 5, 1088)


def test_overnight_is_laptop_with_a_longer_and_later_second_dream():
    plain, long = find_profile("laptop", "takecover"), find_profile("overnight", "takecover")
    assert dataclasses.replace(long, iterate=plain.iterate) == plain
    assert long.iterate.begin == "anywhere" and long.iterate.calibrate and long.iterate.ends > 0
    assert long.iterate.dream.validation.episodes == 256
    assert long.iterate.dream.generations % long.iterate.dream.validation.every == 0
    assert long.machine.backend == "exact"  # no look-alike, nothing to install


def test_the_game_is_the_one_whose_chance_is_the_papers(task):
    for kind in ("exact", "stock"):
        assert task.game(kind).options == {"skill": 4, "resolution": "320x240"}
        assert task.game(kind).kept_rows is None


def test_sizes_are_the_papers(task):
    assert count_parameters(VAE(task.z_size)) == 4_446_915
    assert count_parameters(MDNRNN(task)) == 1_680_833  # 1,678,785 and torch's second bias
    assert Controller(task, ControllerConfig(bias=False)).size == 1088


def test_a_mirror_shows_the_same_game_with_the_actions_signs_turned(task):
    assert task.symmetric
    with Games(task.game(), 2, 2) as doom:
        doom.reset([SEED, SEED])  # the same monsters; only who plays goes another way
        for _ in range(60):
            frames, *_ = doom.step(np.array([[-1.0], [1.0]]), np.ones(2, bool))
    left, right = frames.astype(float)
    walls = np.r_[0:26, 44:64]  # rows without monsters and fireballs
    assert np.abs(left - right[:, ::-1])[walls].mean() < 0.15 * np.abs(left - right)[walls].mean()


def test_the_runner_turns_round_every_80_frames():
    runner = find_task("takecover").policies()["runner"](find_task("takecover"), 2)
    runner.restart(np.array([True, True]), [1, 2], None)
    done = []
    for t in range(200):
        if t == 100:
            runner.restart(np.array([False, True]), [3], None)
        done.append(runner.act(np.array([True, True]), None)[:, 0])
    first, second = np.array(done).T
    assert list(first) == [-1] * 80 + [1] * 80 + [-1] * 40
    assert list(second) == [-1] * 80 + [1] * 20 + [-1] * 80 + [1] * 20


def test_hands_step_aside_at_once():
    hands = Hands()
    for keys, expected in (({"left"}, -1), ({"right", "up"}, 1), ({"left", "right"}, 0), (set(), 0)):
        action = hands(keys)
        assert action.tolist() == [expected] and action.dtype == np.float32


def test_a_small_run_goes_from_nothing_to_a_score(doom_run):
    score = json.loads((doom_run / "score.json").read_text())
    assert score["task"] == "takecover" and all(0 < r <= 60 for r in score["returns"])
