import numpy as np
import pytest
import torch

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
from wmlib.vae import to_images
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.play import play

RULES = Rules("carracing", 12, dream=Dreaming(1.0, "cutoff", "float32"), controller=ControllerConfig())


def an_order(controllers=3, each=2):
    params = torch.randn(controllers, 867, generator=torch.Generator().manual_seed(5))
    whose = np.repeat(np.arange(controllers), each)
    return Order(RULES, np.tile([7, 8], controllers), params, whose, {"mdnrnn": "m", "starts": "s"})


def test_an_order_comes_as_it_was_sent():
    order = an_order()
    again, about = Order.unpack(order.pack(kind={"torch": "2"}))
    assert again.rules == order.rules and again.weights == order.weights
    assert again.seeds.tolist() == order.seeds.tolist()
    assert again.whose.tolist() == order.whose.tolist()
    assert torch.equal(again.params, order.params)
    assert about["kind"] == {"torch": "2"}


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
        Order.unpack(bytes(content))


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
    begun = unpack_weights(pack_weights(starts)[1], task)
    assert torch.equal(begun.mu, starts.mu) and begun.h is None


def test_dreams_of_an_order_are_those_of_the_world(mdnrnn, starts, controller):
    order = an_order()
    got = play_order(order, {"mdnrnn": mdnrnn, "starts": starts}, None)["returns"]
    world = DreamWorld(mdnrnn, starts, 6, 12)
    assert got.tolist() == play(world, controller, order.params, [7, 8]).ravel().tolist()


def test_episodes_come_as_they_were_sent(make_episode):
    episodes = [make_episode(3, 5, terminated=True), make_episode(9, 2)]
    again = unpack_episodes(pack_episodes(episodes))
    for ours, theirs in zip(episodes, again, strict=True):
        assert (ours.seed, ours.terminated) == (theirs.seed, theirs.terminated)
        for name in ("frames", "actions", "rewards"):
            assert np.array_equal(getattr(ours, name), getattr(theirs, name)), name
