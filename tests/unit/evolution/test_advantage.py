"""What an action is worth: against M's own forward pass, where nothing is left to luck."""

import numpy as np
import pytest
import torch

from wmlib.data.sequences import Sequences
from wmlib.evolution.advantage import LOOK, NEAR_END, SPAN, advantages, telling_moments
from wmlib.mdnrnn import MDNRNN
from wmlib.task import Task, find_task
from wmlib.worlds.moments import moments


def games_of(task, lengths, ended):
    """Random games; in each frame, the first number of z is the frame's own number."""
    torch.manual_seed(3)
    frames, steps = sum(lengths) + len(lengths), sum(lengths)
    mu = torch.randn(frames, task.z_size)
    mu[:, 0] = torch.cat([torch.arange(n + 1.0) for n in lengths]) / 1000
    dones = torch.zeros(steps)
    dones[np.cumsum(lengths)[np.array(ended)] - 1] = 1
    return Sequences(
        mu, torch.randn(frames, task.z_size), torch.rand(steps, task.action_size) * 2 - 1,
        torch.rand(steps), dones, list(lengths),
    )  # fmt: skip


def blind_m(name, through):
    """An M that sees nothing of z, so that its reward and end follow from the actions alone."""
    torch.manual_seed(4)
    mdnrnn = MDNRNN(find_task(name)).eval()
    z, size = mdnrnn.task.z_size, mdnrnn.task.action_size
    with torch.no_grad():
        mdnrnn.lstm.weight_ih_l0[:, :z] = 0
        mdnrnn.lstm.weight_ih_l0[:, z : z + size] *= 20 * through
        mdnrnn.head.weight[-2:] *= 20
    return mdnrnn


def test_a_quarter_of_the_moments_lie_before_the_end_if_the_game_had_one():
    task = find_task("takecover")
    mdnrnn, data = MDNRNN(task).eval(), games_of(task, [1000, 1000], [True, False])
    at = telling_moments(mdnrnn, data, np.random.default_rng(0), each=400)
    ends_known = torch.cat([data.mu[:1001], data.mu[1001:]])
    of_first = {tuple(row.tolist()) for row in ends_known[:1001, 1:3]}
    first = torch.tensor([tuple(row.tolist()) in of_first for row in at.mu[:, 1:3]])
    frame = (at.mu[:, 0] * 1000).round()
    assert first.sum() == 400 and len(at.mu) == 800
    late = frame >= 1000 - NEAR_END
    # A 25th of those drawn anywhere lies there as well.
    assert 100 <= late[first].sum() <= 130 and late[~first].sum() <= 30


@pytest.mark.parametrize("name", ["carracing", "takecover"])
def test_without_luck_the_worth_is_what_m_foretells_of_each_action(name):
    mdnrnn = blind_m(name, 1.0)
    mdnrnn.done_positive_weight = 10.0
    task = mdnrnn.task
    data = games_of(task, [25, 25], [True, True])
    at = moments(mdnrnn, data, [np.array([0, 9]), np.array([24])])
    found = advantages(mdnrnn, at, torch.Generator(), repeats=2, lanes=4)
    expected = []
    for k in range(task.action_size):
        worth = {}
        low, high = (torch.tensor(each, dtype=torch.float32) for each in task.bounds)
        for name, choice in {"least": low, "middle": (low + high) / 2, "most": high}.items():
            actions = ((low + high) / 2).expand(3, LOOK, -1).clone()
            actions[:, :, k] = choice[k]
            state = at.h[None], at.c[None]
            with torch.inference_mode():
                told, _ = mdnrnn(torch.zeros(3, LOOK, task.z_size), actions, state, torch.zeros(3, LOOK))
            if task.predicts_reward:
                value = told.reward
            else:
                p = told.done_logit.sigmoid()
                value = -(p / 10) / (p / 10 + 1 - p)  # odds ten times too high
            worth[name] = value.view(3, LOOK // SPAN, SPAN).sum(2)
        least, middle, most = worth.values()
        expected += [most - least, middle - (least + most) / 2]
    expected = torch.cat(expected, 1)
    assert expected.abs().max() > 0.05
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)


def test_all_choices_share_their_luck():
    """Where M does not look at the action, no action is better, though each dream is another."""
    torch.manual_seed(1)
    mdnrnn = MDNRNN(find_task("takecover")).eval()
    with torch.no_grad():
        mdnrnn.lstm.weight_ih_l0[:, mdnrnn.task.z_size] = 0
        mdnrnn.head.weight[-1] *= 20
    data = games_of(mdnrnn.task, [25], [True])
    at = moments(mdnrnn, data, [np.array([3, 8])])
    assert torch.equal(advantages(mdnrnn, at, torch.Generator()), torch.zeros(2, 10))


@pytest.mark.parametrize("kind", ["choice", "switches"])
def test_a_choice_is_compared_with_the_average_one_and_a_switch_with_off(kind):
    """An M that foretells a reward of 1, 2 and 4 where a number of the action is 1, and forgets."""
    task = Task("mine", {name: (0.0, 1.0) for name in "abc"}, 2, 3, kind=kind)
    mdnrnn = MDNRNN(task).eval()
    with torch.no_grad():
        for parameter in mdnrnn.parameters():
            parameter.zero_()
        # Input and output gates are open, the forget gate is shut; of the cell, each number has one.
        mdnrnn.lstm.bias_ih_l0[:] = torch.tensor([9.0] * 3 + [-99.0] * 3 + [0.0] * 3 + [9.0] * 3)
        mdnrnn.lstm.weight_ih_l0[6:9, 2:5] = 9 * torch.eye(3)
        mdnrnn.head.weight[-2] = torch.tensor([1.0, 2.0, 4.0]) / np.tanh(1.0)
    at = moments(mdnrnn, games_of(task, [25], [True]), [np.array([3, 8])])
    found = advantages(mdnrnn, at, torch.Generator())
    paid = torch.tensor([1.0, 2.0, 4.0]) * SPAN
    expected = paid - paid.mean() if kind == "choice" else paid
    expected = expected.repeat_interleave(LOOK // SPAN).expand(2, -1)
    torch.testing.assert_close(found, expected, rtol=1e-2, atol=1e-2)
