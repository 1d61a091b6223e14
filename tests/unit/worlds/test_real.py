"""The real game as an agent sees it: the game's own frames and rewards, through V, remembered by M."""

import numpy as np
import pytest
import torch

from wmlib.envs.errors import GameError
from wmlib.envs.frames import to_frame
from wmlib.envs.games import GameSpec
from wmlib.mdnrnn import MDNRNN
from wmlib.task import find_task, make_game
from wmlib.tasks.carracing import KEPT_ROWS
from wmlib.vae import VAE, to_images
from wmlib.worlds.play import play
from wmlib.worlds.real import FrameWorld, RealWorld


def script(steps):
    rng = np.random.default_rng(5)
    return torch.from_numpy(rng.uniform(0, 0.8, (steps, 2, 3)).astype(np.float32))


def test_real_z_and_rewards_are_the_games_own(vae, mdnrnn):
    actions = script(5)
    game = make_game("carracing")
    frames, rewards = [to_frame(game.reset(seed=2)[0], KEPT_ROWS)], []
    for action in actions[:, 1].numpy():
        picture, reward, *_ = game.step(action)
        frames.append(to_frame(picture, KEPT_ROWS))
        rewards.append(reward)
    expected, _ = vae.encode(to_images(torch.from_numpy(np.stack(frames))))
    with RealWorld(vae, mdnrnn, lanes=2, workers=2) as world:
        features = [world.reset(seed=[1, 2])[0][1].clone()]
        for action, reward in zip(actions, rewards, strict=True):
            observed, found, *_ = world.step(action)
            features.append(observed[1].clone())
            assert found[1] == reward
    torch.testing.assert_close(torch.stack(features)[:, :32], expected, rtol=1e-3, atol=1e-4)


def returns_with(lanes, workers, vae, mdnrnn, controller, params, horizon=25):
    with RealWorld(vae, mdnrnn, lanes, workers, horizon) as world:
        return play(world, controller, params, [1, 2, 3])


def test_scores_do_not_depend_on_lanes_or_workers(vae, mdnrnn, controller):
    params = torch.randn(2, controller.size) * 0.3
    alone = returns_with(1, 1, vae, mdnrnn, controller, params)
    for lanes, workers in ((2, 2), (6, 2), (9, 1)):
        np.testing.assert_array_equal(
            returns_with(lanes, workers, vae, mdnrnn, controller, params), alone
        )


def test_bare_frames_are_what_an_agent_sees(vae, mdnrnn, task):
    actions = script(3)
    with FrameWorld(task.game(), 2, 1, horizon=3) as bare, RealWorld(vae, mdnrnn, 2, 1, 3) as seen:
        frames, _ = bare.reset(seed=[1, 2])
        seen.reset(seed=[1, 2])
        for action in actions:
            np.testing.assert_array_equal(seen.pictures(), frames)
            frames, *rest = bare.step(action.numpy())  # arrays and tensors alike
            _, *expected = seen.step(action)
            for found, wanted in zip(rest[:3], expected[:3], strict=True):
                np.testing.assert_array_equal(found, wanted)
        assert rest[2].all()
        kept = bare.pictures()
        bare.reset(seed=[3, 4])
        assert (kept != bare.pictures()).any()  # pictures are there to keep


def test_the_horizon_is_the_tasks_own_unless_another_is_given(vae, mdnrnn):
    for given, expected in ((None, 1000), (7, 7)):
        with RealWorld(vae, mdnrnn, 1, 1, given) as world:
            assert world.horizon == expected


def test_the_real_world_shows_all_that_c_sees():
    task, seed = find_task("takecover"), 1_500_004
    with RealWorld(VAE(64).eval(), MDNRNN(task).eval(), lanes=2, workers=1, horizon=5) as world:
        features, _ = world.reset(seed=[seed, seed + 1])
        assert features.shape == (2, 64 + 512 + 512)
        total = np.zeros(2)
        for _ in range(5):
            features, rewards, _, truncated, _ = world.step(features.new_zeros(2, 1))
            total += rewards
        assert truncated.all() and (total == 5).all()


class Still:
    """Many games, as EnvPool's look-alike is: nothing ever moves."""

    cut = False

    def __init__(self, lanes, workers, kept_rows):
        self.lanes = lanes

    def reset(self, seeds):
        return np.zeros((self.lanes, 64, 64, 3), np.uint8)

    def step(self, actions, active):
        return self.reset(None), np.zeros(self.lanes), active & (np.arange(self.lanes) == 0)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_an_action_that_is_no_number_is_an_error_before_any_game_takes_it(wrong):
    world = FrameWorld(GameSpec(f"{__name__}:Still", batched=True), lanes=2, workers=1, horizon=9)
    world.reset(seed=[1, 2])
    with pytest.raises(GameError, match="an action is not a finite number"):
        world.step(torch.tensor([[0.0], [wrong]]))
    world.step(torch.zeros(2, 1))  # lane 0 is over, and its action does not count
    world.step(torch.tensor([[wrong], [0.0]]))
