"""The environments: what Gymnasium and Stable-Baselines3 ask of one, and that no step is made up."""

import dataclasses
import re
import sys
import types
import warnings

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium import wrappers
from gymnasium.error import ResetNeeded
from gymnasium.spaces import Discrete, MultiBinary
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.seeding import np_random
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from wmlib.agent import Agent
from wmlib.envs.errors import GameError
from wmlib.gym import DREAM, REAL, DreamEnv, DreamVectorEnv, RealVectorEnv, seed_of_game
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import REFERENCE
from wmlib.vae import to_frames

DOOM = REFERENCE / "takecover"
MODES = list(AutoresetMode)
UNBOUNDED = "A Box observation space (minimum value is -infinity|maximum value is infinity)"
"""Gymnasium says so of CartPole too: features have no bounds."""


@pytest.fixture
def agent(task, vae, mdnrnn, controller, starts):
    """Its dreams end at every step with a chance of about a fifth."""
    with torch.no_grad():
        mdnrnn.head.bias[-1] = -1.4
        mdnrnn.head.weight[-1] = 0
    mdnrnn.done_positive_weight = 1.0
    return Agent(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)


def scripted(lanes, steps, seed=3):
    """Actions of the car, (steps, lanes, 3)."""
    return np.random.default_rng(seed).uniform((-1, 0, 0), 1, (steps, lanes, 3)).astype(np.float32)


def check_by_both(env):
    """Both libraries' checkers; what they warn of is an error, but for what can't be otherwise."""
    sb3 = pytest.importorskip("stable_baselines3.common.env_checker")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", rf".*{UNBOUNDED}")
        check_env(env.unwrapped)
        sb3.check_env(env, skip_render_check=False)


@pytest.mark.parametrize("observation", ["features", "pictures"])
def test_both_checkers_find_nothing_in_the_dream(monkeypatch, observation):
    monkeypatch.chdir(REFERENCE.parents[1])
    env = gymnasium.make(
        "wmlib/Dream-v0", agent="data/reference/takecover", temperature=1.15,
        observation=observation, render_mode="rgb_array",
    )  # fmt: skip
    check_by_both(env)


def test_both_checkers_find_nothing_in_the_game_which_has_the_dreams_spaces():
    made = {"agent": DOOM, "observation": "pictures", "render_mode": "rgb_array"}
    env, dream = gymnasium.make(REAL, **made), gymnasium.make(DREAM, **made)
    assert (env.observation_space, env.action_space) == (dream.observation_space, dream.action_space)
    seen, _ = env.reset(seed=1_000_000)
    world, vae = env.unwrapped.lanes.world, env.unwrapped.lanes.agent.vae
    assert (env.render() == world.frames[0]).all()
    with torch.inference_mode():
        assert (seen == to_frames(vae.decode(world.z))[0].numpy()).all()
    check_by_both(env)


def test_the_pages_script_runs(monkeypatch):
    monkeypatch.chdir(REFERENCE.parents[1])
    page = (REFERENCE.parents[1] / "docs/environment.md").read_text(encoding="utf-8")
    names = {}
    exec(re.findall(r"```python\n(.*?)```", page, re.DOTALL)[0], names)
    assert names["dreams"].num_envs == 1000
    assert names["seen"].shape == (1088,) and names["picture"].shape == (64, 64, 3)


def test_it_is_made_by_its_module_and_name_alone(agent):
    made = gymnasium.make("wmlib.gym:wmlib/Dream-v0", agent=agent)
    assert isinstance(made.unwrapped, DreamEnv)


def test_it_is_the_dream(agent):
    """What is seen, earned and ended is what the world says, from the seed that was asked for."""
    env, world = DreamEnv(agent=agent, temperature=0.7, horizon=6), agent.dream(1, 6, 0.7)
    seen, _ = env.reset(seed=2_000_000)
    expected, _ = world.reset(seed=[2_000_000])
    assert (seen == expected[0].numpy()).all()
    for action in scripted(1, 6)[:, 0]:
        features, reward, terminated, truncated, _ = world.step(torch.from_numpy(action)[None])
        seen, *rest = env.step(action)
        assert (seen == features[0].numpy()).all()
        assert rest == [reward[0], terminated[0], truncated[0], {}]
    assert truncated[0]


@pytest.mark.parametrize("mode", MODES)
def test_the_vector_goes_through_the_games_of_gymnasiums_own(agent, mode):
    made = {"agent": agent, "end": "sampled", "horizon": 9}
    ours = gymnasium.make_vec(DREAM, 3, autoreset_mode=mode, **made)
    theirs = gymnasium.make_vec(
        DREAM, 3, vectorization_mode="sync", vector_kwargs={"autoreset_mode": mode}, **made
    )
    assert isinstance(ours, DreamVectorEnv) and isinstance(theirs, SyncVectorEnv)
    assert ours.metadata["autoreset_mode"] is mode
    assert (ours.observation_space, ours.action_space) == (theirs.observation_space, theirs.action_space)
    both, ends = (ours, theirs), 0
    _same(*(envs.reset(seed=7) for envs in both))
    for action in scripted(3, 40):
        one, other = (envs.step(action) for envs in both)
        _same(one, other)
        over = one[2] | one[3]
        ends += over.sum()
        if mode is AutoresetMode.DISABLED and over.any():
            _same(*(envs.reset(options={"reset_mask": over.copy()}) for envs in both))
    assert ends > 5
    assert ours.np_random_seed == theirs.np_random_seed == (7, 8, 9)


def _same(one, other):
    """Alike in all they say. A product's rounding depends on the number of lanes."""
    *arrays, infos = one
    *expected, expected_infos = other
    for array, wanted in zip(arrays, expected, strict=True):
        assert array.dtype == wanted.dtype
        np.testing.assert_allclose(array, wanted, rtol=1e-3, atol=1e-4)
    assert infos.keys() == expected_infos.keys()
    if infos:
        assert (infos["_final_obs"] == expected_infos["_final_obs"]).all()
        assert (infos["_final_info"] == expected_infos["_final_info"]).all()
        assert infos["final_info"] == expected_infos["final_info"]
        for lane in np.flatnonzero(infos["_final_obs"]):
            final = infos["final_obs"][lane], expected_infos["final_obs"][lane]
            np.testing.assert_allclose(*final, rtol=1e-3, atol=1e-4)


def games_of(envs, mode, games):
    """What a learner makes of lane 0: of each game its steps, (action, reward, what was seen then)."""
    envs.reset(seed=5)
    found, game, anew = [], [], False
    for number in range(200):
        action = np.full((envs.num_envs, 3), number % 5 / 5, np.float32)
        seen, rewards, terminated, truncated, infos = envs.step(action)
        if anew:  # by NEXT_STEP: this was no step, but a reset
            anew = False
            continue
        over = terminated | truncated
        last = infos["final_obs"][0] if mode is AutoresetMode.SAME_STEP and over[0] else seen[0]
        game.append((number, float(rewards[0]), last.copy()))
        if mode is AutoresetMode.DISABLED and over.any():
            envs.reset(options={"reset_mask": over})
        if over[0]:
            found, game, anew = [*found, game], [], mode is AutoresetMode.NEXT_STEP
            if len(found) == games:
                return found
    raise AssertionError("too few games ended")


@pytest.mark.parametrize("mode", MODES)
def test_no_mode_slips_in_a_step_that_was_none(agent, mode):
    """The same games as one environment alone, reset by hand, goes through: not a step more or less."""
    made = {"agent": agent, "end": "sampled", "horizon": 12}
    envs = wrappers.vector.RecordEpisodeStatistics(DreamVectorEnv(2, autoreset_mode=mode, **made))
    found = games_of(envs, mode, 6)
    one, lengths = DreamEnv(**made), [len(game) for game in found]
    assert len(set(lengths)) > 2
    for number, game in enumerate(found):
        one.reset(seed=5 if number == 0 else None)
        for position, (at, reward, last) in enumerate(game):
            seen, expected, *ends, _ = one.step(np.full(3, at % 5 / 5, np.float32))
            assert any(ends) == (position == len(game) - 1)
            assert reward == pytest.approx(expected, abs=1e-4)
            np.testing.assert_allclose(last, seen, rtol=1e-3, atol=1e-4)
    told = list(envs.length_queue)
    assert all(told.count(length) >= lengths.count(length) for length in lengths)


def test_make_vec_cuts_where_make_does(agent):
    agent.mdnrnn.head.bias.data[-1] = -20.0
    one = gymnasium.make(DREAM, agent=agent, max_episode_steps=3)
    many = gymnasium.make_vec(DREAM, 2, agent=agent, max_episode_steps=3, horizon=5)
    one.reset(seed=1), many.reset(seed=1)
    still = np.zeros((2, 3), np.float32)
    cuts = [(one.step(still[0])[3], many.step(still)[3].tolist()) for _ in range(3)]
    assert cuts == [(False, [False] * 2)] * 2 + [(True, [True] * 2)]


def test_wrappers_see_the_same_dream(agent, tmp_path, monkeypatch):
    """A film has a picture for each step and one for the beginning. (Who writes it, MoviePy, wants an
    older Pillow than ours: here it only counts.)"""
    films = []

    class Clip:
        def __init__(self, frames, fps):
            films.append((np.stack(frames), fps))

        def write_videofile(self, path, logger=None):
            self.path = path

    clips = types.SimpleNamespace(ImageSequenceClip=Clip)
    for name in ("moviepy", "moviepy.video", "moviepy.video.io"):
        monkeypatch.setitem(sys.modules, name, types.ModuleType(name))
    monkeypatch.setitem(sys.modules, "moviepy.video.io.ImageSequenceClip", clips)
    agent.mdnrnn.head.bias.data[-1] = -20.0
    env = gymnasium.make(DREAM, agent=agent, render_mode="rgb_array")
    env = wrappers.RecordVideo(env, str(tmp_path / "films"), episode_trigger=lambda episode: True)
    env = wrappers.TimeLimit(wrappers.RecordEpisodeStatistics(env), 4)
    env.reset(seed=3)
    steps = [env.step(action) for action in scripted(1, 4)[:, 0]]
    assert steps[-1][3] and not any(step[3] for step in steps[:-1])
    env.reset()
    env.close()
    frames, fps = films[0]
    assert frames.shape == (5, 64, 64, 3) and frames.dtype == np.uint8 and fps == 30
    assert len(np.unique(frames.reshape(5, -1), axis=0)) == 5


def test_statistics_are_the_sum_of_the_steps(agent):
    env = wrappers.RecordEpisodeStatistics(gymnasium.make(DREAM, agent=agent, horizon=5, end="sampled"))
    env.reset(seed=1)
    steps, over = [], False
    while not over:
        *step, infos = env.step(np.zeros(3, np.float32))
        steps.append(step[1])
        over = step[2] or step[3]
    assert infos["episode"]["l"] == len(steps)
    assert infos["episode"]["r"] == pytest.approx(sum(steps))


def test_pictures_are_what_v_paints_and_what_is_rendered(agent):
    env = DreamVectorEnv(2, agent=agent, observation="pictures", render_mode="rgb_array")
    seen, _ = env.reset(seed=1)
    assert seen.shape == (2, 64, 64, 3) and seen.dtype == np.uint8
    assert all((one == other).all() for one, other in zip(seen, env.render(), strict=True))
    quiet = DreamEnv(agent=agent)
    quiet.reset(seed=1)
    assert quiet.render() is None


def test_who_asks_for_no_seed_is_given_one_to_learn_from(agent):
    chance, _ = np_random(1)
    drawn = [seed_of_game(chance, None) for _ in range(200)]
    assert len(set(drawn)) > 190 and min(drawn) >= 0 and max(drawn) < 1_000_000
    assert seed_of_game(chance, 2_000_000) == 2_000_000
    assert seed_of_game(chance, 2**40) < 1_000_000
    env = DreamEnv(agent=agent)
    first, second, other = (env.reset(seed=seed)[0] for seed in (2**40, 2**40, 2**41))
    assert (first == second).all() and (first != other).any()
    with pytest.raises(gymnasium.error.Error, match="greater or equal to zero"):
        env.reset(seed=-1)


def test_an_action_outside_is_the_nearest_inside_and_nonsense_is_refused(agent):
    env = DreamVectorEnv(2, agent=agent)
    after = []
    for action in ((-3, -1, 0.5), (-1, 0, 0.5)):
        env.reset(seed=4)
        after.append(env.step(np.array([action] * 2))[0])
    assert (after[0] == after[1]).all()
    with pytest.raises(ValueError, match="not a finite number"):
        env.step(np.full((2, 3), np.nan))
    with pytest.raises(ValueError, match=r"of shape \(3,\); they must be of \(2, 3\)"):
        env.step(np.zeros(3))


@pytest.mark.parametrize(
    ("kind", "space", "action", "numbers", "nonsense"),
    [
        ("choice", Discrete(3), np.int64(2), [0.0, 0.0, 1.0], 3),
        ("switches", MultiBinary(3), np.array([1, 0, 1], np.int8), [1.0, 0.0, 1.0], [1, 0]),
    ],
)
def test_actions_are_the_games_own_kind(agent, starts, kind, space, action, numbers, nonsense):
    task = dataclasses.replace(agent.task, actions=dict.fromkeys("abc", (0.0, 1.0)), kind=kind)
    agent.mdnrnn.task = task
    agent = dataclasses.replace(agent, task=task)
    env, world = DreamEnv(agent=agent), agent.dream(1)
    assert env.action_space == space
    env.reset(seed=4), world.reset(seed=[4])
    assert (env.step(action)[0] == world.step(torch.tensor([numbers]))[0][0].numpy()).all()
    with pytest.raises(ValueError, match=r"must be of \(1, 3\)|a whole number from 0 to 2"):
        env.step(nonsense)
    many = DreamVectorEnv(2, agent=agent)
    many.reset(seed=4)
    many.step(many.action_space.sample())
    check_by_both(gymnasium.make(DREAM, agent=agent))


def test_what_is_over_or_has_not_begun_must_be_reset(agent):
    env = DreamEnv(agent=agent, horizon=1)
    still = np.zeros(3, np.float32)
    for refused in (lambda: env.step(still), env.render):
        with pytest.raises(ResetNeeded, match="must be reset"):
            refused()
    env.reset(seed=1)
    env.step(still)
    with pytest.raises(ResetNeeded, match="must be reset"):
        env.step(still)
    many = DreamVectorEnv(3, agent=agent)
    many.reset(seed=1, options={"reset_mask": np.array([True, False, True])})
    with pytest.raises(ResetNeeded, match=r"anything else: 1$"):
        many.step(np.zeros((3, 3)))
    for mask in ([True] * 3, np.zeros(3, bool), np.ones(2, bool), np.ones(3)):
        with pytest.raises(ValueError, match=r"must be an array of 3 bool, at least one of them True"):
            many.reset(options={"reset_mask": mask})
    with pytest.raises(ValueError, match="2 seeds for 3 lanes"):
        many.reset(seed=[1, 2])


@pytest.mark.parametrize(
    ("option", "says"),
    [
        ({"temperature": 20.0}, r"temperature is 20.0; it must be from 0.05 to 10"),
        ({"end": "never"}, r"end is 'never'; it must be one of: cutoff, sampled"),
        ({"precision": "float8"}, r"precision is 'float8'; it must be one of: auto, float32, bfloat16"),
        ({"observation": "frames"}, r"observation is 'frames'; it must be features or pictures"),
        ({"horizon": 0}, r"horizon is 0; it must be a whole number, 1 or more"),
        ({"num_envs": 0}, r"num_envs is 0; it must be a whole number, 1 or more"),
    ],
)
def test_options_out_of_bounds_are_refused_by_name(agent, option, says):
    with pytest.raises(ConfigError, match=rf"^DreamVectorEnv.{says}$"):
        DreamVectorEnv(**{"agent": agent} | option)


def test_a_folder_without_an_agent_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match=r"controller.safetensors is missing|finish the run"):
        gymnasium.make(DREAM, agent=tmp_path)


def test_a_daemonic_process_is_told_how_to_play_many_games(agent, monkeypatch):
    daemon = types.SimpleNamespace(daemon=True)
    monkeypatch.setattr("multiprocessing.current_process", lambda: daemon)
    with pytest.raises(GameError, match=r'gymnasium.make_vec\("wmlib/Real-v0", num_envs=8'):
        RealVectorEnv(agent=agent)
