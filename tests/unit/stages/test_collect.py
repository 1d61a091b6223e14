"""Recording: the games are the explorer's own, and what is there already is not played again."""

import numpy as np
import pytest

from wmlib.config import CollectConfig, Machine
from wmlib.data.episodes import EpisodeStore
from wmlib.data.explorers import StrafingPolicy
from wmlib.envs.frames import to_frame
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, read_events
from wmlib.stages.collect import collect
from wmlib.task import find_task, make_game

MACHINE = Machine(lanes=2, workers=1)


@pytest.fixture
def task():
    return find_task("takecover")


@pytest.fixture
def job(tmp_path):
    return Job("collect", 1, RunLog(tmp_path, quiet=True), tmp_path / "episodes", "a")


def config(**more):
    return CollectConfig(**{"episodes": 3, "policy": "strafing", "horizon": 12, "first_seed": 7} | more)


def test_recorded_games_are_the_games_that_the_explorer_plays_alone(task, job):
    store = collect(task, config(), MACHINE, job)
    assert store.seeds == [7, 8, 9]
    game, every = make_game("takecover"), np.ones(1, bool)
    rows = task.game().kept_rows
    for episode in store:
        explorer = StrafingPolicy(task, 1)
        explorer.restart(every, [episode.seed], None)
        frames = [to_frame(game.reset(seed=episode.seed)[0], rows)]
        for t in range(12):
            action = explorer.act(every, None)[0]
            np.testing.assert_array_equal(episode.actions[t], action)
            frames.append(to_frame(game.step(action)[0], rows))
        np.testing.assert_array_equal(episode.frames, frames)
        assert episode.rewards.tolist() == [1.0] * 12 and not episode.terminated
    game.close()
    row = store.rows[8]
    assert (row["policy"], row["task"], row["digest"], row["length"]) == (
        "strafing",
        "takecover",
        "a",
        12,
    )
    assert {"vizdoom", "wmlib"} <= row.keys()
    events = read_events(job.log.path.parent, "collect")
    assert [event["step"] for event in events] == [1, 2, 3]
    assert sorted(event["seed"] for event in events) == [7, 8, 9]


def test_what_is_there_already_is_not_played_again_and_what_is_gone_is(task, job):
    store = collect(task, config(), MACHINE, job)
    before = {seed: store.path(seed).read_bytes() for seed in store.seeds}
    stamps = {seed: store.path(seed).stat().st_mtime_ns for seed in store.seeds}
    store.path(8).unlink()
    made = []

    def maker(lanes):
        made.append(lanes)
        return StrafingPolicy(task, lanes)

    again = collect(task, config(), MACHINE, job, maker)
    assert made == [1] and again.seeds == [7, 8, 9]
    for seed in (7, 8, 9):
        assert again.path(seed).read_bytes() == before[seed]
        assert (again.path(seed).stat().st_mtime_ns == stamps[seed]) == (seed != 8)
    longer = collect(task, config(episodes=5), MACHINE, job, maker)
    assert made == [1, 2] and longer.seeds == [7, 8, 9, 10, 11]
    assert collect(task, config(), MACHINE, job, maker).seeds == longer.seeds and made == [1, 2]
    EpisodeStore(job.path).verify()


def test_episodes_of_another_configuration_are_not_mixed_with(task, job):
    collect(task, config(episodes=1), MACHINE, job)
    other = Job("collect", 1, job.log, job.path, "b")
    with pytest.raises(ArtifactError, match="holds episodes of another configuration; choose another"):
        collect(task, config(episodes=2), MACHINE, other)
    assert EpisodeStore(job.path).seeds == [7]


def test_whoever_is_made_plays_in_the_explorers_stead(task, job):
    class Still:
        def __init__(self, lanes):
            self.lanes = lanes

        def restart(self, lanes, seeds, frames):
            assert frames.shape == (self.lanes, 64, 64, 3)

        def act(self, active, frames):
            return np.full((self.lanes, 1), -1.0, np.float32)

    store = collect(task, config(policy="agent"), MACHINE, job, Still)
    assert all((episode.actions == -1).all() for episode in store)
    assert store.rows[7]["policy"] == "agent"
