import dataclasses

import numpy as np
import pytest
import torch

from wmlib.cluster.kind import kind
from wmlib.cluster.order import Order, Rules, pack_weights
from wmlib.cluster.worker import Worker
from wmlib.config import ControllerConfig
from wmlib.envs.errors import GameError
from wmlib.runtime.files import unpack
from wmlib.worlds.play import PolicyPlayer, play, play_games
from wmlib.worlds.real import FrameWorld, RealWorld
from wmlib.worlds.record import record

HORIZON = 4


@pytest.fixture
def worker():
    worker = Worker()
    yield worker
    worker.close()


def answer(worker, order, weights=None, **about):
    return unpack(worker.play(order.pack(**({"kind": kind()} | about)), weights or {}), "the answer")


@pytest.fixture
def order(vae, mdnrnn, controller):
    vae.to(memory_format=torch.channels_last)
    sent = {"vae": pack_weights(vae), "mdnrnn": pack_weights(mdnrnn)}
    params = torch.randn(2, controller.size, generator=torch.Generator().manual_seed(1))
    rules = Rules(HORIZON, controller=ControllerConfig())
    digests = {name: digest for name, (digest, _) in sent.items()}
    order = Order(mdnrnn.task, rules, np.array([3, 4]), params, np.arange(2), digests)
    return order, dict(sent.values())


def test_it_asks_for_weights_once_and_plays_as_one_does_here(worker, order, vae, mdnrnn, controller):
    order, weights = order
    nothing, about = answer(worker, order)
    assert not nothing and sorted(about["missing"]) == sorted(weights)
    got, about = answer(worker, order, weights)
    assert about["worker"] == worker.name and about["seconds"] > 0
    sequences = dataclasses.replace(order.rules, keep="sequences")
    seen, _ = answer(worker, dataclasses.replace(order, rules=sequences))
    with RealWorld(vae, mdnrnn, 2, 1, HORIZON) as world:
        returns = play(world, controller, order.params, order.seeds[:, None])
        expected = record(world, controller, order.params, order.seeds)
    assert got["returns"].tolist() == returns[:, 0].tolist()
    assert int(got["steps"]) == int(seen["steps"]) == 2 * HORIZON
    for name in ("mu", "logvar", "actions", "rewards", "dones"):
        assert torch.equal(seen[name], getattr(expected, name)), name
    # And one who sees nothing, in the same games.
    rules, task = Rules(HORIZON, policy="brownian"), mdnrnn.task
    blind = Order(task, rules, order.seeds, torch.zeros(1, 0), np.zeros(2, int), {})
    got, _ = answer(worker, blind)
    with FrameWorld(task.game(), 2, 1, HORIZON) as world:
        player = PolicyPlayer(task.explorer("brownian", 2), order.seeds)
        assert got["returns"].tolist() == play_games(world, player, order.seeds).tolist()


def test_another_kind_is_refused_before_it_plays(worker, order, monkeypatch):
    order, weights = order
    nothing, about = answer(worker, order, weights, kind=kind() | {"torch": "0.1"})
    assert not nothing and about["refused"].endswith("not 0.1")
    _, about = answer(worker, order, weights, game={"game": "another"})
    assert about["refused"].startswith("its game is another")
    _, about = answer(worker, order, weights, task="chess")
    assert about["refused"].startswith("it can't make the game: there is no task 'chess'")

    def lacking(name):
        raise GameError("No module named 'chess'")

    monkeypatch.setattr("wmlib.cluster.worker.find_task", lacking)
    _, about = answer(worker, order, weights)
    assert about["refused"] == "it can't make the game: No module named 'chess'"


def test_what_goes_wrong_with_a_game_is_told_and_the_next_order_is_played(worker, order):
    order, weights = order
    broken = dataclasses.replace(order, params=order.params * float("nan"))
    _, about = answer(worker, broken, weights)
    assert "not a finite number" in about["failed"]
    got, _ = answer(worker, order)
    assert torch.isfinite(got["returns"]).all()
