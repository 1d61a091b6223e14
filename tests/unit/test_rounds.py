"""Rounds: a crowd plays, M learns on, C learns on in M's dream."""

import dataclasses

import numpy as np
import pytest
import torch

from wmlib import rounds
from wmlib.config import EvolutionConfig, MDNRNNConfig, RoundsConfig
from wmlib.diagnostics import memories
from wmlib.mdnrnn import MDNRNN
from wmlib.recording import record, returns_of
from wmlib.rounds import run_rounds, starts_of
from wmlib.runlog import RunLog
from wmlib.sequences import Blend, Sequences, join
from wmlib.worlds import RealWorld, play

QUIET = RunLog(quiet=True)


def interrupted(*_):
    raise KeyboardInterrupt


def data_of(lengths, fill=0.0):
    frames, steps = sum(lengths) + len(lengths), sum(lengths)
    torch.manual_seed(int(fill))
    return Sequences(
        torch.randn(frames, 32) + fill, torch.randn(frames, 32), torch.rand(steps, 3) + fill,
        torch.rand(steps), torch.zeros(steps), list(lengths),
    )  # fmt: skip


def test_recorded_games_are_the_games_that_play_scores(vae, mdnrnn, controller):
    torch.manual_seed(0)
    params = torch.randn(3, controller.size) * 0.1
    with RealWorld(vae, mdnrnn, 3, 1, horizon=45) as world:
        games = record(world, controller, params, np.array([5, 6, 7]), patience=20)
    with RealWorld(vae, mdnrnn, 2, 1, horizon=45) as world:  # two at once, then the third
        again = record(world, controller, params, np.array([5, 6, 7]), patience=20)
    assert again.lengths == games.lengths
    for name in ("mu", "logvar", "actions", "rewards", "dones"):
        assert torch.equal(getattr(again, name), getattr(games, name)), name
    with RealWorld(vae, mdnrnn, 3, 1, horizon=45) as world:
        expected = play(world, controller, params, np.array([[5], [6], [7]]), patience=20)[:, 0]
    np.testing.assert_allclose(returns_of(games), expected, atol=1e-3)
    # What was recorded is what C saw: from z and M's memory of it come the recorded actions.
    for episode, first in enumerate(np.cumsum([0, *games.lengths[:-1]])):
        z, h = memories(mdnrnn, games, episode)
        actions = controller.act(params[episode, None], torch.cat([z, h], 1)[None, :-1])[0]
        recorded = games.actions[first : first + games.lengths[episode]]
        torch.testing.assert_close(actions, recorded, rtol=1e-3, atol=1e-3)


def test_moments_hold_what_m_remembers_there(mdnrnn):
    data = data_of([30, 12])
    starts = starts_of(mdnrnn, data, np.random.default_rng(0), margin=4)
    assert starts.mu.shape == (16, 32)
    remembered = [memories(mdnrnn, data, episode) for episode in (0, 1)]
    z, h = (torch.cat([pair[i] for pair in remembered]) for i in (0, 1))
    for mu, memory in zip(starts.mu, starts.h, strict=True):
        (frame,) = (z == mu).all(1).nonzero().flatten().tolist()
        torch.testing.assert_close(memory, h[frame], rtol=1e-4, atol=1e-5)
        assert frame < 26 or 31 <= frame < 31 + 8  # the last four frames of a game are left out


def test_a_blend_draws_its_share_from_each(mdnrnn):
    blend = Blend(data_of([20, 30]), data_of([25], fill=100.0), share=0.3)
    frames, steps, mask = blend.batch(np.random.default_rng(0), 10, 5)
    of_second = blend.mu[frames].mean((1, 2)) > 50
    assert of_second.tolist() == [False] * 7 + [True] * 3
    assert torch.equal(blend.actions[steps].mean((1, 2)) > 50, of_second)
    assert mask.shape == (10, 5)


def test_joined_sequences_keep_their_episodes():
    a, b = data_of([4, 6]), data_of([5], fill=3.0)
    joined = join([a, b])
    assert joined.lengths == [4, 6, 5]
    assert torch.equal(joined.mu[12:], b.mu) and torch.equal(joined.rewards[:10], a.rewards)


def test_some_episodes_are_whole_ones():
    data = data_of([4, 6, 5, 3])
    some = data.some(np.random.default_rng(0), 2)
    assert len(some.lengths) == 2 and some.lengths != data.lengths[:2]
    steps, frames = np.cumsum([0, *data.lengths]), np.cumsum([0, *(n + 1 for n in data.lengths)])
    picked = [data.lengths.index(n) for n in some.lengths]
    for kind, edges in (("mu", frames), ("logvar", frames), ("actions", steps), ("dones", steps)):
        whole = getattr(data, kind)
        expected = torch.cat([whole[edges[e] : edges[e + 1]] for e in picked])
        assert torch.equal(getattr(some, kind), expected), kind
    assert data.some(np.random.default_rng(0), 4) is data


@pytest.fixture
def config():
    return RoundsConfig(
        rounds=2, games=4, components=3, horizon=25, patience=0, recent=2,
        mdnrnn=MDNRNNConfig(steps=2, batch_size=4, sequence_length=10),
        dream=EvolutionConfig(generations=2, population=4, episodes=2, horizon=10),
    )  # fmt: skip


def test_more_rounds_go_on_and_a_broken_off_round_is_taken_up(
    tmp_path, config, vae, mdnrnn, controller, monkeypatch
):
    starts = []  # of every dream: so small a search may pick the same C from different ones

    def noted_starts(*inputs):
        starts.append(starts_of(*inputs, margin=0))
        return starts[-1]

    monkeypatch.setattr(rounds, "starts_of", noted_starts)

    def go(folder, count, opened=None):
        def open_world(m, lanes):
            if opened is not None:
                opened.append(lanes)
                if len(opened) == 3:
                    raise KeyboardInterrupt
            return RealWorld(vae, m, lanes, 1, config.horizon)

        m = MDNRNN(mdnrnn.task)
        m.load_state_dict(mdnrnn.state_dict())
        more = dataclasses.replace(config, rounds=count)
        start = torch.zeros(controller.size)
        return run_rounds(more, open_world, m, controller, start, data_of([40] * 3), folder, 1, QUIET)

    m, params = go(tmp_path / "whole", 2)
    assert params.abs().max() > 0 and not torch.equal(m.head.weight, mdnrnn.head.weight)
    with pytest.raises(KeyboardInterrupt):
        go(tmp_path / "parts", 2, opened=[])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # its games are recorded
        patch.setattr(rounds, "evolve", interrupted)
        go(tmp_path / "parts", 2)
    again, resumed = go(tmp_path / "parts", 2)
    assert torch.equal(resumed, params) and torch.equal(again.head.weight, m.head.weight)
    for i, expected in zip((2, 3, 4), (0, 1, 1), strict=True):
        torch.testing.assert_close(starts[i].mu, starts[expected].mu, rtol=0, atol=0)
    opened = []
    go(tmp_path / "parts", 3, opened)
    assert opened == [4]  # one more round, and its games alone
