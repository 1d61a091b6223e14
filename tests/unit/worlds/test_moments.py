"""Moments: what M remembers along recorded games, against torch's own LSTM."""

import numpy as np
import pytest
import torch

from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.task import find_task
from wmlib.worlds.moments import features_at, features_of, memories, moments, starts_of


def data_of(task, lengths):
    frames, steps = sum(lengths) + len(lengths), sum(lengths)
    z = torch.randn(frames, task.z_size)
    actions = torch.rand(steps, task.action_size)
    return Sequences(z, torch.randn(z.shape), actions, torch.ones(steps), torch.zeros(steps), lengths)


def test_memories_are_aligned_with_frames(mdnrnn, task):
    data = data_of(task, [10, 20])
    z, actions = data.mu, data.actions
    seen, h = memories(mdnrnn, data, 1)
    assert torch.equal(seen, z[11:32]) and h.shape == (21, 256) and h[0].abs().max() == 0
    expected, _ = mdnrnn.lstm(torch.cat([z[None, 11:12], actions[None, 10:11]], -1))
    torch.testing.assert_close(h[1], expected[0, 0])
    features = features_of(mdnrnn, data)
    assert [len(f) for f in features] == [11, 21]
    assert torch.equal(features[1], torch.cat([seen, h], 1))


def test_features_with_the_cell_are_what_the_agent_sees():
    task = find_task("takecover")
    mdnrnn = MDNRNN(task).eval()
    z, actions = torch.randn(9, 64), torch.rand(8, 1)
    data = Sequences(z, torch.zeros_like(z), actions, torch.ones(8), torch.zeros(8), [8])
    (features,) = features_of(mdnrnn, data)
    restart = torch.zeros(1, 8)
    restart[0, 0] = 1
    with torch.inference_mode():
        for t in (0, 1, 8):
            h = c = torch.zeros(512)
            if t:
                _, (h, c) = mdnrnn(z[None, :t], actions[None, :t], None, restart[:, :t])
                h, c = h[0, 0], c[0, 0]
            torch.testing.assert_close(features[t], torch.cat([z[t], c, h]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["carracing", "takecover"])
def test_moments_come_in_the_order_of_time_with_all_that_m_remembers(name):
    task = find_task(name)
    mdnrnn = MDNRNN(task).eval()
    data = data_of(task, [6, 3, 9])
    chosen = [np.array([5, 0, 6]), np.array([3]), np.array([7, 5, 5])]  # the same one may be there twice
    found = moments(mdnrnn, data, chosen)
    order = [(0, 0), (1, 3), (0, 5), (2, 5), (2, 5), (0, 6), (2, 7)]  # of these games, at these frames
    first_frame, first_step = (0, 7, 11), (0, 6, 9)
    assert len(found.mu) == len(order)
    for row, (game, t) in enumerate(order):
        frame, step = first_frame[game], first_step[game]
        assert torch.equal(found.mu[row], data.mu[frame + t])
        assert torch.equal(found.logvar[row], data.logvar[frame + t])
        h = c = torch.zeros(task.hidden_size)
        if t:
            fresh = torch.arange(t)[None] == 0
            with torch.inference_mode():
                z, actions = data.mu[None, frame : frame + t], data.actions[None, step : step + t]
                _, (h, c) = mdnrnn(z, actions, None, fresh)
            h, c = h[0, 0], c[0, 0]
        torch.testing.assert_close(found.h[row], h, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found.c[row], c, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["carracing", "takecover"])
def test_at_a_moment_c_sees_what_it_would_have_seen_there(name):
    task = find_task(name)
    torch.manual_seed(0)
    mdnrnn, data = MDNRNN(task).eval(), data_of(task, [30, 12, 21])
    chosen = [np.array([0, 29, 7]), np.array([12]), np.array([7, 7, 20])]
    at = moments(mdnrnn, data, chosen)
    whole = features_of(mdnrnn, data)
    expected = [whole[0][0], *(whole[e][7] for e in (0, 2, 2)), whole[1][12], whole[2][20], whole[0][29]]
    torch.testing.assert_close(features_at(at, task), torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_dreams_start_at_what_m_remembers_there(mdnrnn, task):
    data = data_of(task, [30, 12])
    starts = starts_of(mdnrnn, data, np.random.default_rng(0), margin=4)
    assert starts.mu.shape == (16, 32)
    remembered = [memories(mdnrnn, data, episode) for episode in (0, 1)]
    z, h = (torch.cat([pair[i] for pair in remembered]) for i in (0, 1))
    for mu, memory in zip(starts.mu, starts.h, strict=True):
        (frame,) = (z == mu).all(1).nonzero().flatten().tolist()
        torch.testing.assert_close(memory, h[frame], rtol=1e-4, atol=1e-5)
        assert frame < 26 or 31 <= frame < 31 + 8  # the last four frames of a game are left out
