"""Record games for V and M to learn from."""

from collections.abc import Callable, Iterator

import numpy as np

from wmlib.agent import Explorer
from wmlib.cluster import Far, Rules, crew_at
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
            names. A scheduler's workers can be told of these and of an `Explorer`; the games of any
            other are played here.

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
    about = {"policy": config.policy, "task": task.name, "digest": job.digest}
    about |= game_versions(*task.packages)

    def keep(episode: Episode) -> None:
        store.add(episode, about)
        job.log.event(job.name, len(store), seed=episode.seed, length=len(episode))
        bar.update()

    elsewhere = None
    if machine.scheduler and (make_policy is None or isinstance(make_policy, Explorer)):
        elsewhere = _played_elsewhere(task, config, machine, missing, make_policy)
    with job.log.bar(len(wanted), job.name, "episodes", len(wanted) - len(missing)) as bar:
        if elsewhere:
            for episode in elsewhere:
                keep(episode)
        else:
            lanes = machine.lanes_for(len(missing))
            policy = make_policy(lanes) if make_policy else task.explorer(config.policy, lanes)
            game, workers = task.game(machine.backend), machine.worker_count
            with FrameWorld(game, lanes, workers, config.horizon) as world:
                recorder = EpisodeRecorder(world, missing, keep)
                play_games(world, PolicyPlayer(policy, missing), missing, observers=[recorder])
    _warn(store, task, job)
    return store


def _played_elsewhere(
    task: Task, config: CollectConfig, machine: Machine, seeds: np.ndarray, explorer: Explorer | None
) -> Iterator[Episode]:
    if explorer:
        return explorer.elsewhere(config.horizon, machine).episodes(seeds, explorer.agent.params)
    task.explorer(config.policy, 1)  # an unknown one is an error here already
    rules = Rules(config.horizon, game=machine.backend, policy=config.policy)
    return Far(crew_at(machine.scheduler), task, rules, {}).episodes(seeds)


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
