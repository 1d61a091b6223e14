"""The studies of what the notebooks claim: each works, in an effort that is next to none."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from studies.claims.__main__ import STUDIES, ask
from studies.claims.lab import Lab, Rows, half_width
from studies.claims.memory import as_one, astray
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import Prediction
from wmlib.runtime.log import RunLog

LASTS = 58


class Pretended:
    """Games in this process: noise to look at, a point a step, and an end."""

    def __init__(self, spec, lanes, workers):
        self.lanes, self.cut = lanes, np.zeros(lanes, bool)
        self.t, self.rng = np.zeros(lanes, int), np.random.default_rng(0)

    def _frames(self):
        return self.rng.integers(0, 256, (self.lanes, 64, 64, 3), np.uint8)

    def reset(self, seeds):
        self.t[[seed is not None for seed in seeds]] = 0
        return self._frames()

    def step(self, actions, active):
        self.t += active
        return self._frames(), active * 1.0, active & (self.t >= LASTS)

    def close(self):
        pass


class Glance(torch.nn.Module):
    """A V that costs nothing: it sees coarsely."""

    def __init__(self, z_size):
        super().__init__()
        self.z_size = z_size

    def encode(self, x):
        coarse = torch.nn.functional.avg_pool2d(x, 8).flatten(1)[:, : self.z_size]  # of 192 numbers
        return coarse, torch.full_like(coarse, -3.0)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("claims"), 0.004, RunLog(quiet=True))
    for name, agent in lab.agents.items():
        lab.agents[name] = replace(agent, vae=Glance(agent.task.z_size))
    return lab


@pytest.mark.parametrize("study", STUDIES)
def test_every_study_finds_something_and_is_not_made_again(study, lab, monkeypatch, capsys):
    monkeypatch.setattr("wmlib.worlds.real.open_games", Pretended)
    what, rows = STUDIES[study], Rows(lab.folder / "rows.json")
    name, seed = what.names[-1], what.seeds[0]
    ask(study, lab, rows, [seed], [name])
    assert f"{study}: {name}, seed {seed}" in capsys.readouterr().out
    (row,) = rows.studies[study]
    assert (row["name"], row["seed"], row["effort"]) == (name, seed, lab.effort)
    assert row["n"] >= 0 and row["machine"] and row["cpu_minutes"] >= 0
    ask(study, lab, rows, [seed], [name])
    assert not capsys.readouterr().out


def test_a_row_of_another_effort_is_replaced(tmp_path):
    rows = Rows(tmp_path / "rows.json")
    for name, effort in (("a", 0.1), ("b", 0.1), ("a", 1.0)):
        rows.add("five", {"name": name, "seed": 1, "effort": effort})
    assert rows.has("five", "a", 1, 1.0) and not rows.has("five", "a", 1, 0.1)
    assert [row["name"] for row in rows.studies["five"]] == ["a", "b"]
    assert rows.studies == Rows(tmp_path / "rows.json").studies


def test_one_gaussian_has_the_mean_and_variance_of_the_mixture():
    parts = torch.randn(3, 7, 5)
    guess = Prediction(parts[0].log_softmax(-1), parts[1], parts[2], None, None)
    one = as_one(guess)
    of = torch.distributions
    mixture = of.MixtureSameFamily(of.Categorical(logits=parts[0]), of.Normal(parts[1], parts[2].exp()))
    assert torch.allclose(one.mu[..., 0], mixture.mean, atol=1e-5)
    assert torch.allclose((2 * one.logsigma[..., 0]).exp(), mixture.variance, rtol=1e-4)


def test_where_m_is_right_the_game_is_as_far_as_another_dream(task, mdnrnn, monkeypatch):
    """Games drawn from M itself: then chance explains all."""

    def noise(prediction, uniform, normal, tau=1.0):
        return normal

    monkeypatch.setattr("studies.claims.memory.sample_mixture", noise)
    games, steps = 200, 30
    mu = torch.randn(games * (steps + 1), task.z_size)
    actions = torch.zeros(games * steps, 3)
    data = Sequences(
        mu, torch.full_like(mu, -4.0), actions, actions[:, 0], actions[:, 0], [steps] * games
    )
    apart = astray(mdnrnn, data, warm_up=5, horizon=10, seed=1)
    assert np.allclose(apart.game, apart.dreams, rtol=0.05) and np.allclose(
        apart.dreams, 2**0.5, rtol=0.05
    )


def test_half_a_mean_s_interval():
    assert half_width(np.array([1.0, 3.0])) == pytest.approx(1.96 * np.sqrt(2) / np.sqrt(2))
    assert np.isnan(half_width(np.array([1.0])))
