"""Rounds: C's relatives play, M learns on, C learns on in M's dream."""

import dataclasses

import numpy as np
import pytest
import torch

from wmlib.agent import Agent
from wmlib.config import DreamSearch, Machine, MDNRNNConfig, RoundsConfig, Validation
from wmlib.data.sequences import Sequences
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, read_events
from wmlib.stages import rounds
from wmlib.stages.rounds import run_rounds
from wmlib.worlds.moments import starts_of
from wmlib.worlds.real import RealWorld


def interrupted(*_):
    raise KeyboardInterrupt


def data_of(lengths, fill=0.0):
    frames, steps = sum(lengths) + len(lengths), sum(lengths)
    torch.manual_seed(int(fill))
    return Sequences(
        torch.randn(frames, 32) + fill, torch.randn(frames, 32), torch.rand(steps, 3) + fill,
        torch.rand(steps), torch.zeros(steps), list(lengths),
    )  # fmt: skip


@pytest.fixture
def config():
    return RoundsConfig(
        rounds=2, games=4, components=3, horizon=25, patience=0, recent=2,
        mdnrnn=MDNRNNConfig(steps=2, batch_size=4, sequence_length=10),
        dream=DreamSearch(generations=2, population=4, episodes=2, horizon=10),
    )  # fmt: skip


def test_more_rounds_go_on_and_a_broken_off_round_is_taken_up(
    tmp_path, config, task, vae, mdnrnn, controller, starts, monkeypatch
):
    begun = []  # of every dream: so small a search may pick the same C from different ones

    def noted_starts(*inputs):
        begun.append(starts_of(*inputs[:3], margin=0))
        return begun[-1]

    monkeypatch.setattr(rounds, "starts_of", noted_starts)

    def go(folder, count, opened=None):
        class Player(Agent):
            def real(self, games, *how):
                if opened is not None:
                    opened.append(games)
                    if len(opened) == 3:
                        raise KeyboardInterrupt
                return super().real(games, *how)

        agent = Player(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)
        more = dataclasses.replace(config, rounds=count)
        job = Job("rounds", path=folder)
        after = run_rounds(more, agent, data_of([40] * 3), Machine(workers=1), job)
        return after.mdnrnn, after.params

    before = mdnrnn.head.weight.clone()
    m, params = go(tmp_path / "whole", 2)
    assert torch.equal(mdnrnn.head.weight, before)  # the agent that is given stays as it was
    assert params.abs().max() > 0 and not torch.equal(m.head.weight, mdnrnn.head.weight)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "parts", 2, opened=[])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # its games are recorded
        patch.setattr(rounds, "evolve", interrupted)
        go(tmp_path / "parts", 2)
    again, resumed = go(tmp_path / "parts", 2)
    assert torch.equal(resumed, params) and torch.equal(again.head.weight, m.head.weight)
    for i, expected in zip((2, 3, 4), (0, 1, 1), strict=True):
        torch.testing.assert_close(begun[i].mu, begun[expected].mu, rtol=0, atol=0)
    assert again.done_positive_weight == m.done_positive_weight == config.mdnrnn.done_positive_weight
    kept, _ = go(tmp_path / "parts", 2, opened=[])  # all rounds are done: nothing is played or trained
    assert kept.done_positive_weight == config.mdnrnn.done_positive_weight != 1
    opened = []
    go(tmp_path / "parts", 3, opened)
    assert opened == [4]  # one more round, and its games alone


def test_with_tests_the_best_round_is_kept_and_found_again(
    tmp_path, config, task, vae, mdnrnn, controller, starts, monkeypatch
):
    agent = Agent(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)
    real_scores, in_world = iter([5.0, 9.0, 7.0, 8.0]), rounds.scores_in

    def scripted(world, *how):
        if isinstance(world, RealWorld):
            return lambda params, seeds: np.full((1, len(seeds)), next(real_scores))
        return in_world(world, *how)

    monkeypatch.setattr(rounds, "scores_in", scripted)
    tested = dataclasses.replace(config, validation=Validation(episodes=2, horizon=25))

    def go(folder, count):
        more = dataclasses.replace(tested, rounds=count)
        job = Job("rounds", path=folder, log=RunLog(folder, quiet=True))
        return run_rounds(more, agent, data_of([40] * 3), Machine(workers=1), job)

    best = go(tmp_path, 2)
    kept = go(tmp_path, 3)  # the third does worse
    again = go(tmp_path, 4)  # so does the fourth, and better than the third
    assert [row["real"] for row in read_events(tmp_path) if "real" in row] == [5.0, 9.0, 7.0, 8.0]
    for other in (kept, again):
        assert torch.equal(other.params, best.params)
        assert torch.equal(other.mdnrnn.head.weight, best.mdnrnn.head.weight)
