import numpy as np
import pytest
import torch

from wmlib.agent import Agent, Explorer
from wmlib.cluster.elsewhere import Far
from wmlib.cluster.order import Rules
from wmlib.config import DreamSearch, Machine
from wmlib.worlds.play import Observer, play


class Listing:
    """A crew of so many workers that plays nothing, and keeps the orders."""

    def __init__(self, workers):
        self.workers, self.orders = lambda: workers, []

    def play(self, orders, weights):
        self.orders = orders
        for number, order in reversed(list(enumerate(orders))):  # none comes at its turn
            yield number, {"returns": torch.from_numpy(order.seeds * 1.0)}


@pytest.mark.parametrize(
    ("workers", "games", "sizes"),
    [(2, 64, [32, 32]), (4, 64, [16] * 4), (8, 3, [1] * 3), (2, 70, [24, 24, 22]), (1, 5, [5])],
)
def test_every_worker_has_a_part_and_none_is_wider_than_a_batch(controller, workers, games, sizes):
    crew = Listing(workers)
    far = Far(crew, Rules("carracing", 5), {})
    seeds = np.arange(games) + 100
    heard = {}
    got = far.play(controller, torch.zeros(1, 867), seeds[None], 0, heard.__setitem__)
    assert [len(order) for order in crew.orders] == sizes
    assert got.tolist() == [seeds.tolist()]
    assert heard == dict(enumerate(seeds.tolist()))


def test_long_recorded_games_come_in_small_parts():
    crew = Listing(1)
    crew.play = lambda orders, weights: crew.orders.extend(orders) or []
    list(Far(crew, Rules("carracing", 1000, policy="brownian"), {}).episodes(np.arange(12)))
    assert [len(order) for order in crew.orders] == [5, 5, 2]
    assert {order.rules.keep for order in crew.orders} == {"episodes"}


def test_whoever_wants_to_see_steps_is_told_that_there_are_none(controller):
    far = Far(Listing(1), Rules("carracing", 5), {})
    with far, pytest.raises(ValueError, match="a Listener hears the ends"):
        play(far, controller, torch.zeros(1, 867), [1], observers=[Observer()])


@pytest.fixture
def agent(task, vae, mdnrnn, controller, starts):
    return Agent(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)


def test_dreams_in_batches_are_those_of_worlds_of_that_width(agent):
    search = DreamSearch(population=4, episodes=2, horizon=10, precision="float32")
    params = torch.randn(4, 867, generator=torch.Generator().manual_seed(1))
    got = play(agent.dream_for(search, 1.2, Machine(dream_batch=3)), agent.controller, params, [1, 2])
    parts = [  # games 0 to 2, 3 to 5, and 6 to 7
        play(agent.dream(n, 10, 1.2), agent.controller, params[whose], np.array(seeds)[:, None])
        for n, whose, seeds in [
            (3, [0, 0, 1], [1, 2, 1]),
            (3, [1, 2, 2], [2, 1, 2]),
            (2, [3, 3], [1, 2]),
        ]
    ]
    assert got.ravel().tolist() == np.concatenate(parts).ravel().tolist()
    whole = agent.dream_for(search, 1.2, Machine())
    np.testing.assert_allclose(got, play(whole, agent.controller, params, [1, 2]), rtol=1e-4)


def test_an_explorer_can_be_told_to_others(agent, monkeypatch):
    crew = Listing(2)
    crew.play = lambda orders, weights: crew.orders.extend(orders) or []
    monkeypatch.setattr("wmlib.agent.crew_at", {"local:2": crew}.__getitem__)
    far = Explorer(agent, 0.25).elsewhere(40, Machine(scheduler="local:2"))
    list(far.episodes(np.arange(4), agent.params))
    first = crew.orders[0]
    assert first.rules.noise == 0.25 and first.rules.controller == agent.controller.config
    assert torch.equal(first.params, agent.params[None])
    assert first.weights.keys() == {"vae", "mdnrnn"} and set(first.weights.values()) == set(far.weights)
    assert isinstance(agent.real(3, Machine(scheduler="local:2")), Far)


def test_a_crew_is_what_it_needs_for_a_real_game(agent):
    far = Far(None, Rules("carracing", 5), {"vae": agent.vae, "mdnrnn": agent.mdnrnn}, 2)
    with pytest.raises(ValueError, match="needs a crew"):
        play(far, agent.controller, agent.params[None], [1])
