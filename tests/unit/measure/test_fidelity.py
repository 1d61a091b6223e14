"""How far a dream may be believed, against cases counted by hand."""

import math

import numpy as np
import pytest
import torch

from wmlib.agent import load_agent
from wmlib.cli import run_command
from wmlib.config import FidelityConfig, Machine
from wmlib.data.sequences import Sequences
from wmlib.measure.fidelity import (
    agreement,
    agreement_of,
    examine_ends,
    graded_controllers,
    measure_fidelity,
    rank_correlation,
)
from wmlib.runtime.log import RunLog
from wmlib.worlds import DreamWorld, RealWorld, play


@pytest.fixture
def crier(mdnrnn):
    """An M that cries the end at exactly the steps at which z's first element is positive."""
    size = mdnrnn.task.hidden_size
    with torch.no_grad():
        for parameter in mdnrnn.parameters():
            parameter.zero_()
        bias = mdnrnn.lstm.bias_ih_l0
        bias[:size], bias[size : 2 * size], bias[3 * size :] = 20.0, -20.0, 20.0  # it remembers nothing
        mdnrnn.lstm.weight_ih_l0[2 * size, 0] = 10.0
        mdnrnn.head.weight[-1, 0] = 10.0
        mdnrnn.head.bias[-1] = -1.0
    return mdnrnn


def games(lengths, ended, cries):
    """Sequences in which z's first element is 1 at the steps `cries` of each episode, else -1."""
    z, dones = [], []
    for length, over, steps in zip(lengths, ended, cries, strict=True):
        one = torch.full((length + 1, 32), -1.0)
        one[list(steps), 0] = 1.0
        z.append(one)
        dones += [0.0] * (length - 1) + [float(over)]
    steps = sum(lengths)
    z = torch.cat(z)
    return Sequences(
        z,
        torch.full_like(z, -20.0),
        torch.zeros(steps, 3),
        torch.ones(steps),
        torch.tensor(dones),
        lengths,
    )


def test_alarms_are_counted_as_by_hand(crier):
    data = games([20, 30, 25, 15], [True, True, False, True], [[18], [5], [3, 24], []])
    report = examine_ends(crier, data, slack=10)
    assert report.ends == 3 and report.recall == pytest.approx(1 / 3)
    assert report.too_early == 2 / 4  # the second, and the third, which was cut
    assert report.false_alarms == pytest.approx(3 / (9 + 19 + 25 + 4))
    strict = examine_ends(crier, data, slack=0)  # only the last step counts
    assert strict.recall == 0 and strict.too_early == 3 / 4


def test_games_that_were_all_cut_have_no_recall(crier):
    report = examine_ends(crier, games([12], [False], [[]]))
    assert report.ends == 0 and math.isnan(report.recall)
    assert (report.too_early, report.false_alarms) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("x", "y", "expected"),
    [
        ([1, 2, 3, 4, 5], [2, 1, 4, 3, 5], 0.8),  # 1 - 6 * 4 / (5 * 24)
        ([1, 2, 3], [10, 1000, 1001], 1.0),
        ([1, 2, 3], [9, 4, 1], -1.0),
        ([1, 1, 2], [1, 2, 3], math.sqrt(3) / 2),  # ranks 1.5, 1.5, 3 and 1, 2, 3
    ],
)
def test_rank_correlation_by_hand(x, y, expected):
    assert rank_correlation(np.array(x), np.array(y)) == pytest.approx(expected)


def test_what_does_not_vary_has_no_rank_correlation():
    assert math.isnan(rank_correlation(np.ones(4), np.arange(4)))


def test_the_interval_is_wide_where_the_orders_have_nothing_in_common():
    rng = np.random.default_rng(0)
    x = rng.standard_normal(30)
    unlike, alike = agreement_of(x, rng.standard_normal(30)), agreement_of(x, x**3)
    assert unlike.ci95[0] < 0 < unlike.ci95[1] and unlike.ci95[0] < unlike.correlation < unlike.ci95[1]
    assert alike.correlation == pytest.approx(1) and alike.ci95 == pytest.approx((1, 1))


class Paying:
    """A world of one step that pays `rate` times the first action."""

    def __init__(self, rate):
        self.lanes, self.rate = 4, rate

    def reset(self, *, seed, options=None):
        return torch.ones(self.lanes, 288), {}

    def stop(self, lanes):
        pass

    def step(self, actions):
        over = np.ones(self.lanes, bool)
        return torch.ones(self.lanes, 288), self.rate * actions[:, 0].double().numpy(), over, ~over, {}


def test_controllers_are_compared_in_both_worlds(controller):
    params = torch.zeros(5, controller.size)
    params[:, 864] = torch.tensor([0.3, -0.2, 0.1, 0.5, 0.0])  # the bias of the first action
    found = agreement(Paying(1.0), Paying(-2.0), controller, params, np.arange(3))
    np.testing.assert_allclose(found.dream, params[:, 864].tanh().numpy(), rtol=1e-5)
    np.testing.assert_allclose(found.real, -2 * found.dream, rtol=1e-5)
    assert found.correlation == pytest.approx(-1)


def test_graded_controllers_go_from_c_to_chance():
    params = torch.randn(1000, generator=torch.Generator().manual_seed(0)) * 0.3
    graded = graded_controllers(params, 5)
    assert torch.equal(graded[0], params)
    alike = [float(torch.corrcoef(torch.stack([params, one]))[0, 1]) for one in graded]
    assert alike == sorted(alike, reverse=True) and abs(alike[-1]) < 0.1
    assert float(graded[-1].square().mean().sqrt()) == pytest.approx(0.3, rel=0.1)


def test_what_is_measured_is_what_play_says(doom_run):
    agent = load_agent(doom_run)
    config = FidelityConfig(taus=(0.5,), episodes=3, controllers=2)
    found = measure_fidelity(agent, config, Machine(lanes=4), RunLog(quiet=True))
    seeds = 1_500_000 + np.arange(3)
    with RealWorld(agent.vae, agent.mdnrnn, 3, 1) as world:
        real = play(world, agent.controller, agent.params[None], seeds)[0]
        pair = play(world, agent.controller, graded_controllers(agent.params, 2), seeds[:2]).mean(1)
    assert found.real == pytest.approx((real.mean(), real.std(ddof=1)))
    np.testing.assert_allclose(found.order.real, pair)
    dream = DreamWorld(agent.mdnrnn, agent.starts, 3, tau=0.5)
    dreamt = play(dream, agent.controller, agent.params[None], seeds)[0]
    assert found.dreams[0.5] == pytest.approx((dreamt.mean(), dreamt.std(ddof=1)))
    assert found.ends.ends == 3 and f"{real.mean():.0f} ± {real.std(ddof=1):.0f}" in str(found)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--tau", "50"], "FidelityOptions.tau is 50.0; it must be from 0.05 to 10"),
        (["--controllers", "1"], "FidelityOptions.controllers is 1; it must be 2 or more"),
    ],
)
def test_what_cannot_be_measured_is_refused(words, message, capsys):
    with pytest.raises(SystemExit) as end:
        run_command("fidelity", words)
    assert end.value.code == 2
    assert message in " ".join(capsys.readouterr().err.split())
