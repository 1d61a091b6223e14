import dataclasses

import numpy as np
import pytest
import torch

from wmlib.cluster.kind import game_of
from wmlib.cluster.order import (
    Dreaming,
    Order,
    Rules,
    pack_episodes,
    pack_weights,
    play_order,
    unpack_episodes,
    unpack_weights,
)
from wmlib.config import ControllerConfig
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import unpack
from wmlib.task import find_task
from wmlib.vae import to_images
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.dropout import DropoutDream
from wmlib.worlds.play import Jerks, play

RULES = Rules(12, dream=Dreaming(1.0, "cutoff", "float32"), controller=ControllerConfig())


def an_order(controllers=3, each=2, rules=RULES):
    params = torch.randn(controllers, 867, generator=torch.Generator().manual_seed(5))
    whose = np.repeat(np.arange(controllers), each)
    return Order(
        find_task("carracing"),
        rules,
        np.tile([7, 8], controllers),
        params,
        whose,
        {"mdnrnn": "m", "starts": "s"},
    )


def test_an_order_comes_as_it_was_sent(task):
    every = {"keep": "sequences", "game": "sketch", "options": {"grass": 0.5}, "policy": "brownian"}
    every |= {"noise": 0.2, "patience": 7, "charge": True, "jerks": True}
    dreaming = Dreaming(1.2, "sampled", "bfloat16", dropout=0.1)
    rules = Rules(9, dream=dreaming, controller=ControllerConfig(hidden=3), **every)
    plain = {field.name: field.default for field in dataclasses.fields(Rules)}
    assert all(value != plain[name] for name, value in vars(rules).items())  # none is left out here
    order = an_order(rules=rules)
    tensors, about = unpack(order.pack(kind={"torch": "2"}), "an order")
    again = Order.unpack(tensors, about, task)
    assert again.rules == order.rules and again.weights == order.weights
    assert again.seeds.tolist() == order.seeds.tolist()
    assert again.whose.tolist() == order.whose.tolist()
    assert torch.equal(again.params, order.params)
    assert about["kind"] == {"torch": "2"} and about["task"] == "carracing"
    assert about["game"] == game_of(task)


def test_a_part_takes_along_the_controllers_that_it_needs():
    order = an_order()
    part = order.part(3, 2)  # the second game of controller 1, the first of controller 2
    assert part.seeds.tolist() == [8, 7] and part.whose.tolist() == [0, 1]
    assert torch.equal(part.params, order.params[1:])
    assert len(order.part(5, 9)) == 1


def test_a_damaged_order_is_refused():
    content = bytearray(an_order().pack(kind={}))
    content[-3] ^= 1
    with pytest.raises(ArtifactError, match="an order is damaged"):
        unpack(bytes(content), "an order")


def test_weights_come_as_they_were_sent(task, vae, mdnrnn, starts):
    mdnrnn.done_positive_weight = 3.0
    frames = torch.zeros(2, 64, 64, 3, dtype=torch.uint8)
    vae = vae.to(memory_format=torch.channels_last)
    digest, content = pack_weights(vae)
    assert pack_weights(vae) == (digest, content)
    with torch.inference_mode():
        ours, theirs = (v.encode(to_images(frames)) for v in (vae, unpack_weights(content, task)))
    assert all(map(torch.equal, ours, theirs))
    other, content = pack_weights(mdnrnn)
    again = unpack_weights(content, task)
    assert other != digest and again.done_positive_weight == 3.0
    assert torch.equal(again.head.weight, mdnrnn.head.weight)
    mdnrnn.task = dataclasses.replace(task, horizon=7)  # a game that was edited
    assert pack_weights(mdnrnn)[0] != other
    begun = unpack_weights(pack_weights(starts)[1], task)
    assert torch.equal(begun.mu, starts.mu) and begun.h is None


@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_dreams_of_an_order_are_those_of_the_world(mdnrnn, starts, controller, dropout):
    dreaming = dataclasses.replace(RULES.dream, dropout=dropout)
    rules = dataclasses.replace(RULES, dream=dreaming, patience=3, charge=True, jerks=True)
    order = an_order(rules=rules)
    got = play_order(order, {"mdnrnn": mdnrnn, "starts": starts}, None)
    world = DropoutDream(mdnrnn, starts, 6, 12, dropout=dropout) if dropout else None
    world, jerks = world or DreamWorld(mdnrnn, starts, 6, 12), Jerks(6)
    expected = play(world, controller, order.params, [7, 8], 3, [jerks], charge=True)
    assert got["returns"].tolist() == expected.ravel().tolist()
    assert got["jerks"].tolist() == jerks.totals.tolist() and jerks.totals.any()
    assert int(got["steps"]) == world.steps_played > 0


def test_episodes_come_as_they_were_sent(make_episode):
    episodes = [make_episode(3, 5, terminated=True), make_episode(9, 2)]
    again = unpack_episodes(pack_episodes(episodes))
    for ours, theirs in zip(episodes, again, strict=True):
        assert (ours.seed, ours.terminated) == (theirs.seed, theirs.terminated)
        for name in ("frames", "actions", "rewards"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
