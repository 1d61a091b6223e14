"""Record games for V and M to learn from."""

from collections.abc import Callable

import numpy as np

from wmlib.config import CollectConfig, Machine
from wmlib.data.episodes import Episode, EpisodeStore
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.job import Job
from wmlib.runtime.versions import game_versions
from wmlib.task import Policy, Task
from wmlib.worlds.play import PolicyPlayer, play_games
from wmlib.worlds.real import FrameWorld
from wmlib.worlds.record import EpisodeRecorder


def check_store(job: Job) -> None:
    """Check that what the job's folder holds, if anything, is of the job.

    Raises:
        ArtifactError: the folder holds episodes of another configuration, or a damaged manifest.
    """
    if any(row.get("digest") != job.digest for row in EpisodeStore(job.path).rows.values()):
        raise ArtifactError(
            f"{job.path} holds episodes of another configuration; choose another folder for the run, or "
            "delete it"
        )


def collect(
    task: Task,
    config: CollectConfig,
    machine: Machine,
    job: Job,
    make_policy: Callable[[int], Policy] | None = None,
) -> EpisodeStore:
    """Record `config.episodes` games into the job's folder; those that are there already are kept.

    Args:
        make_policy: makes who plays, for so many lanes; by default the explorer that `config.policy`
            names.

    Raises:
        ArtifactError: the folder holds episodes of another configuration.
        ConfigError: the task has no explorer of that name.
    """
    check_store(job)
    store = EpisodeStore(job.path)
    store.forget_missing()
    wanted = range(config.first_seed, config.first_seed + config.episodes)
    missing = np.array([seed for seed in wanted if seed not in store.rows], int)
    if not len(missing):
        return store
    lanes = machine.lanes_for(len(missing))
    policy = make_policy(lanes) if make_policy else task.explorer(config.policy, lanes)
    about = {"policy": config.policy, "task": task.name, "digest": job.digest}
    about |= game_versions(*task.packages)

    def keep(episode: Episode) -> None:
        store.add(episode, about)
        job.log.event(job.name, len(store), seed=episode.seed, length=len(episode))
        bar.update()

    game, workers = task.game(machine.backend), machine.worker_count
    with (
        FrameWorld(game, lanes, workers, config.horizon) as world,
        job.log.bar(len(wanted), job.name, "episodes", len(wanted) - len(missing)) as bar,
    ):
        recorder = EpisodeRecorder(world, missing, keep)
        play_games(world, PolicyPlayer(policy, missing), missing, observers=[recorder])
    _warn(store, task, job)
    return store


def _warn(store: EpisodeStore, task: Task, job: Job) -> None:
    """Say where there is nothing to learn from, before time is spent on it."""
    returns = {row["return"] for row in store.rows.values()}
    if store.steps == len(store):
        job.log.say(f"{job.name}: warning: every game ended with its first step")
    elif task.predicts_reward and len(returns) == 1 < len(store):
        job.log.say(
            f"{job.name}: warning: every game earned {returns.pop():g}: M sees no reward that depends "
            "on actions, and C will find none; take another explorer or longer games"
        )
