"""Stable-Baselines3 is told the same by ours as by its own way of vectorising the single environment."""

import gymnasium
import numpy as np
import pytest
import torch

from wmlib.agent import Agent
from wmlib.gym import DREAM, DreamVectorEnv
from wmlib.runtime.fields import ConfigError

pytest.importorskip("stable_baselines3")

from stable_baselines3 import PPO
from stable_baselines3.common.vec_env import DummyVecEnv, VecMonitor

from wmlib.sb3 import SB3VecEnv


@pytest.fixture
def agent(task, vae, mdnrnn, controller, starts):
    """Its dreams end at every step with a chance of about a fifth."""
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -1.4
        mdnrnn.head.weight[-1] = 0
    mdnrnn.done_positive_weight = 1.0
    return Agent(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)


def test_it_says_what_sb3s_own_says(agent):
    made = {"agent": agent, "end": "sampled", "horizon": 6, "render_mode": "rgb_array"}
    ours = SB3VecEnv(DreamVectorEnv(3, autoreset_mode="SameStep", **made))
    theirs = DummyVecEnv([lambda: gymnasium.make(DREAM, **made)] * 3)
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    both, rng, cuts = (ours, theirs), np.random.default_rng(1), []
    for envs in both:
        envs.seed(11)
    close = {"rtol": 1e-3, "atol": 1e-4}
    np.testing.assert_allclose(*(envs.reset() for envs in both), **close)
    for _ in range(30):
        actions = rng.uniform((-1, 0, 0), 1, (3, 3)).astype(np.float32)
        (*seen, told), (*wanted, expected) = (envs.step(actions) for envs in both)
        for one, other in zip(seen, wanted, strict=True):
            assert one.dtype == other.dtype
            np.testing.assert_allclose(one, other, **close)
        for lane in np.flatnonzero(seen[2]):
            cuts.append(expected[lane]["TimeLimit.truncated"])
            assert told[lane]["TimeLimit.truncated"] == cuts[-1]
            last = (infos[lane]["terminal_observation"] for infos in (told, expected))
            np.testing.assert_allclose(*last, **close)
    assert len(set(cuts)) == 2  # some were cut, some ended
    assert ours.render().shape == theirs.render().shape


def test_ppo_learns_in_it(agent):
    envs = VecMonitor(SB3VecEnv(DreamVectorEnv(4, agent=agent, horizon=8, autoreset_mode="SameStep")))
    model = PPO("MlpPolicy", envs, n_steps=16, batch_size=32, n_epochs=1, seed=1, device="cpu")
    before = model.policy.action_net.weight.clone()
    model.learn(64)
    assert not torch.equal(before, model.policy.action_net.weight)
    assert len(model.ep_info_buffer) > 4
    envs.close()


def test_other_modes_of_autoreset_are_refused(agent):
    with pytest.raises(ConfigError, match='autoreset_mode="SameStep"'):
        SB3VecEnv(DreamVectorEnv(2, agent=agent))
