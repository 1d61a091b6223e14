"""The search's coordinates, against plain algebra."""

import numpy as np
import pytest
import torch

from wmlib.agent import Agent
from wmlib.config import ControllerConfig, Coordinates
from wmlib.controller import Controller
from wmlib.data.sequences import Sequences
from wmlib.evolution import space as space_module
from wmlib.evolution.space import SearchSpace, fitted_space
from wmlib.mdnrnn import MDNRNN
from wmlib.task import find_task
from wmlib.vae import VAE
from wmlib.worlds.moments import DreamStarts


@pytest.mark.parametrize("hidden", [0, 5])
def test_the_plain_space_is_the_parameters(task, hidden):
    controller = Controller(task, ControllerConfig(hidden=hidden))
    space = SearchSpace.plain(controller, torch.zeros(controller.size))
    x = np.random.default_rng(0).normal(size=(2, space.size))
    assert space.size == controller.size
    torch.testing.assert_close(space.params(x), torch.from_numpy(x).float())


@pytest.mark.parametrize("components", [None, 7])
def test_predictive_coordinates_weigh_standardised_combinations(controller, components):
    torch.manual_seed(1)
    features = torch.randn(2000, 288) @ torch.randn(288, 288) * 0.3 + torch.randn(288)
    origin = torch.zeros(controller.size)
    space = SearchSpace.predictive(controller, origin, [features[:900], features[900:]], components)
    scores = (features - features.mean(0)) @ space.basis
    torch.testing.assert_close(scores.std(0), torch.ones(scores.shape[1]), rtol=1e-2, atol=0)
    x = np.random.default_rng(0).normal(size=(1, space.size)) * 0.01
    assert space.size == (components or 288) * 3 + 3
    count = scores.shape[1]
    weight = torch.from_numpy(x[0, : count * 3]).float().view(count, 3)
    raw = scores[:5] @ weight + torch.from_numpy(x[0, -3:]).float()
    expected = torch.stack(
        [raw[:, 0].tanh(), (raw[:, 1].tanh() + 1) / 2, raw[:, 2].tanh().clamp(0, 1)], 1
    )
    actions = controller.act(space.params(x), features[None, :5])[0]
    torch.testing.assert_close(actions, expected, rtol=1e-3, atol=1e-3)


def test_the_search_starts_at_its_origin(controller):
    origin = torch.randn(controller.size)
    space = SearchSpace.predictive(controller, origin, [torch.randn(500, 288)], 4)
    torch.testing.assert_close(space.params(np.zeros((1, space.size)))[0], origin)


def test_predictive_coordinates_find_what_lasts_however_small_it_is(controller):
    """Loud noise that is gone the next frame, and a quiet wave that goes on, hidden in a rotation."""
    torch.manual_seed(2)
    t = torch.arange(3000.0)
    wave = 0.05 * torch.stack([torch.sin(t / 40), torch.cos(t / 25)], 1)
    features = torch.cat([torch.randn(3000, 286), wave], 1) @ torch.linalg.qr(torch.randn(288, 288))[0]
    space = SearchSpace.predictive(controller, torch.zeros(controller.size), [features], 2)
    found = torch.linalg.lstsq((features - space.mean) @ space.basis, wave).solution
    left = wave - (features - space.mean) @ space.basis @ found
    assert left.var() < 0.05 * wave.var()


def test_where_c_sees_h_alone_z_has_no_say(task):
    controller = Controller(task, ControllerConfig(inputs="h"))
    seen = torch.randn(500, 288)
    other = torch.cat([torch.randn(500, 32), seen[:, 32:]], 1)
    bases = [SearchSpace.predictive(controller, torch.zeros(771), [x], 4).basis for x in (seen, other)]
    assert bases[0].shape == (256, 4) and torch.equal(*bases)


def test_predictive_coordinates_need_an_episode_long_enough(controller):
    with pytest.raises(ValueError, match="longer than 10 frames"):
        SearchSpace.predictive(controller, torch.zeros(controller.size), [torch.randn(9, 288)], 2)


def test_advantageous_coordinates_are_what_tells_the_advantage(controller):
    """Two quiet directions among 288 tell what is better; one of them tells more."""
    torch.manual_seed(3)
    hidden = torch.randn(20_000, 288)
    features = hidden * torch.logspace(-1, 1, 288) + 5
    two = torch.stack([hidden[:, 7], hidden[:, 30]], 1)
    advantages = two @ torch.tensor([[1.0, -2.0, 3.0, 0.1], [0.0, 0.5, 0.1, 0.1]])
    advantages = advantages + 0.5 * torch.randn(20_000, 4)
    origin = torch.zeros(controller.size)
    space = SearchSpace.advantageous(controller, origin, features, advantages, 2)
    assert space.size == 2 * 3 + 3
    scores = (features - space.mean) @ space.basis
    torch.testing.assert_close(scores.std(0), torch.ones(2), rtol=1e-3, atol=0)
    correlation = torch.corrcoef(torch.cat([scores, two], 1).T)[:2, 2:].abs()
    assert correlation[0, 0] > 0.95 and correlation[1, 1] > 0.9
    # And plain algebra: what C adds to its actions is the weighted combinations, and nothing else.
    x = np.random.default_rng(0).normal(size=(1, space.size)) * 0.1
    weight, bias = torch.from_numpy(x[0, :6]).float().view(2, 3), torch.from_numpy(x[0, 6:]).float()
    steer = controller.act(space.params(x), features[None, :5])[0, :, 0]
    torch.testing.assert_close(steer, (scores[:5] @ weight + bias)[:, 0].tanh(), rtol=1e-3, atol=1e-3)


def test_there_are_at_most_as_many_advantageous_coordinates_as_advantages(controller):
    torch.manual_seed(3)
    features, told = torch.randn(500, 288), torch.randn(500, 4)
    for asked, there in ((None, 4), (3, 3), (9, 4)):
        space = SearchSpace.advantageous(controller, torch.zeros(controller.size), features, told, asked)
        assert space.basis.shape == (288, there)


@pytest.mark.parametrize(("games_enough", "asked"), [(3, 32), (5, 32), (6, 64), (512, 100)])
def test_the_fewer_games_there_are_the_more_is_asked_of_each(monkeypatch, games_enough, asked):
    """But of no game more than every other step."""
    task = find_task("takecover")
    mdnrnn, controller, counts = MDNRNN(task).eval(), Controller(task), []

    def told(mdnrnn, at, *_, **__):
        counts.append(len(at.mu))
        return torch.randn(len(at.mu), 10)

    monkeypatch.setattr(space_module, "GAMES_SEEN", games_enough)
    monkeypatch.setattr(space_module, "advantages", told)
    lengths = [150, 200, 250]
    frames, steps = sum(lengths) + 3, sum(lengths)
    z, dones = torch.randn(2, frames, task.z_size), torch.zeros(steps)
    dones[[149, 599]] = 1
    starts = DreamStarts(z[0, :5], z[1, :5])
    seen = Sequences(*z, torch.rand(steps, 1), torch.rand(steps), dones, lengths)
    agent = Agent(task, VAE(task.z_size), mdnrnn, controller, torch.zeros(controller.size), starts)
    fitted_space(Coordinates("advantage"), agent, lambda: seen, seed=1)
    assert counts == [3 * asked]
