"""Who plays while episodes are recorded."""

import numpy as np
import torch

from wmlib.rollouts import BrownianPolicy, DriverThenExplorer
from wmlib.worlds import RealWorld


def test_the_driver_drives_to_its_moment_and_then_the_explorer(vae, mdnrnn, controller, task):
    lanes, horizon, explore = 6, 12, 4
    params = torch.randn(controller.size) * 0.1
    policy = DriverThenExplorer(
        vae, mdnrnn, controller, params[None], lanes, noise=0.0, horizon=horizon, explore=explore
    )
    seeds, every = list(range(lanes)), np.ones(lanes, bool)
    with RealWorld(vae, mdnrnn, lanes, 1, horizon) as world:
        features, _ = world.reset(seed=seeds)
        policy.restart(every, seeds, world.frames)
        explorer = BrownianPolicy(task, lanes)
        explorer.restart(every, seeds, world.frames)
        who = []
        for _ in range(horizon):
            driven = controller.act(params[None].expand(lanes, -1), features[:, None])[:, 0]
            explored = explorer.act(every, world.frames)
            actions = policy.act(every, world.frames)
            by_driver = np.isclose(actions, driven.numpy(), atol=1e-5).all(1)
            by_explorer = np.isclose(actions, explored, atol=1e-5).all(1)
            assert (by_driver | by_explorer).all()
            who.append(by_driver)
            features, *_ = world.step(torch.from_numpy(actions))
    moments = np.array(who).sum(0)
    assert (np.array(who) == (np.arange(horizon)[:, None] < moments)).all()  # once handed over, for good
    assert moments.min() >= 0 and moments.max() <= horizon - explore and len(set(moments)) > 1
    assert [policy.length(s, horizon) for s in seeds] == (moments + explore).tolist()
