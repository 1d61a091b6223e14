"""M and C teach each other, round after round (section 5, iterative training).

C gets to what no explorer has seen: hairpins, at speed. So, again and again, C's near relatives play
the game, M goes on learning from their games and from the explorers', and C goes on learning in M's
dream.

Why relatives, and not C with noise on its actions? M would take whatever C itself would not have done
for the beginning of a crash, and then no change to C looks good in a dream. Each relative drives by a
rule of its own; M learns what difference the rule makes.
"""

import math
from dataclasses import replace

import torch

from wmlib.agent import Agent
from wmlib.config import VALIDATION_SEEDS, Machine, RoundsConfig, Validation
from wmlib.data.sequences import Blend, Sequences, join
from wmlib.evolution.cmaes import Judge, Progress, evolve, scores_in
from wmlib.evolution.space import SearchSpace
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.files import expect, shapes_of
from wmlib.runtime.job import Job
from wmlib.runtime.log import as_points
from wmlib.task import Task
from wmlib.training import train_mdnrnn
from wmlib.worlds.moments import features_of, starts_of
from wmlib.worlds.record import record


def run_rounds(
    config: RoundsConfig, agent: Agent, explored: Sequences, machine: Machine, job: Job
) -> Agent:
    """All rounds. Those that the job's folder, which it must have, holds already are not run again.

    Args:
        agent: V, M and C to begin with. explored: the explorers' episodes.

    Returns:
        the agent with the last M and C; with those of the best test, where there are tests.
    """
    kept, first = load_state(agent, job)
    if first > config.rounds:  # more than are wanted: from the beginning
        kept, first = agent, 0
    agent, best = kept, _best(agent, job) if first else (agent, -math.inf)
    for number in range(first, config.rounds):
        agent = one_round(number, config, agent, explored, machine, job)
        if config.validation:
            score = _tested(config.validation, agent, number, machine, job)
            if score > best[1]:
                best = agent, score
                _keep(agent, job.part(keep="best.safetensors"), number, score=score)
        _keep(agent, _state(job), number)
    return best[0] if config.validation else agent


def _tested(plan: Validation, agent: Agent, number: int, machine: Machine, job: Job) -> float:
    """The agent's mean score in the real game, after this round."""
    progress = Progress()
    with agent.real(plan.episodes, machine, plan.horizon) as world:
        judge = Judge(scores_in(world, agent.controller), plan, lambda: world.steps_played)
        judge.test(progress, agent.params, number + 1, job)
    return progress.best_score


def one_round(
    number: int, config: RoundsConfig, agent: Agent, explored: Sequences, machine: Machine, job: Job
) -> Agent:
    """C's relatives play, M learns on from their games, and C learns on in M's dream."""
    games, space = _play(number, config, agent, machine, job)
    recent = range(max(0, number + 1 - config.recent), number + 1)
    kept = [load_games(i, agent.task, job) for i in recent]
    blend = Blend(explored, join([part for part in kept if part]), config.share)
    learning = job.part(number, keep="mdnrnn.safetensors", of=number)
    mdnrnn = train_mdnrnn(blend, agent.task, config.mdnrnn, learning, agent.mdnrnn)
    # A generator of its own: a round that is taken up again does not draw its games anew.
    starts = starts_of(mdnrnn, games, job.rng(number, "moments"), config.margin)
    agent = replace(agent, mdnrnn=mdnrnn, starts=starts)
    search = config.dream
    world = agent.dream_for(search, config.tau, machine)
    score = scores_in(world, agent.controller, search.patience, search.charge, search.jerk)
    progress = evolve(search, space, score, job.part(number, "dream"))
    return replace(agent, params=progress.best)


def _play(
    number: int, config: RoundsConfig, agent: Agent, machine: Machine, job: Job
) -> tuple[Sequences, SearchSpace]:
    """The round's games, kept in the job's folder; and the coordinates in which the relatives lie."""
    rng, task = job.rng(number), agent.task
    selves = max(1, config.games // 8)

    def played(params: torch.Tensor) -> Sequences:
        seeds = rng.integers(0, VALIDATION_SEEDS, len(params))
        with agent.real(len(params), machine, config.horizon, machine.backend) as world:
            return record(world, agent.controller, params, seeds, config.patience, job.log)

    # The search's coordinates are fitted to what C sees: in the games of the round before, or, in the
    # first, in some that it plays for it.
    seen = load_games(number - 1, task, job)
    if seen is None:
        seen = played(agent.params.expand(selves, -1))
    features = features_of(agent.mdnrnn, seen)
    space = SearchSpace.predictive(agent.controller, agent.params, features, config.components)
    games = load_games(number, task, job)
    if games is None:
        relatives = rng.standard_normal((config.games, space.size)) * config.spread
        relatives[:selves] = 0  # C itself, to know how it does
        games = played(space.params(relatives))
        games.save(_games(number, job))
    returns = games.returns
    own = returns[:selves].mean()
    frames = sum(games.lengths)
    job.log.event(job.name, number, relatives=float(returns.mean()), own=float(own), frames=frames)
    job.log.say(
        f"round {number + 1} of {config.rounds}: C earns {as_points(own)} in the game, its relatives "
        f"{as_points(returns.mean())} on average"
    )
    return games, space


def load_state(agent: Agent, job: Job) -> tuple[Agent, int]:
    """The agent after so many rounds; the one that is given, and 0, where none were kept."""
    kept = _load(agent, _state(job))
    return (kept[0], int(kept[1]["rounds"])) if kept else (agent, 0)


def _best(agent: Agent, job: Job) -> tuple[Agent, float]:
    """The agent that did best in the tests, and its score; the given one, where none was kept."""
    kept = _load(agent, job.part(keep="best.safetensors"))
    return (kept[0], float(kept[1]["score"])) if kept else (agent, -math.inf)


def _load(agent: Agent, job: Job) -> tuple[Agent, dict] | None:
    """The agent with the M and C that the file holds, and what it says of them."""
    kept = job.load(_remedy(job))
    if kept is None:
        return None
    tensors, about = kept
    shapes = shapes_of(agent.mdnrnn) | {"params": (agent.controller.size,)}
    expect(job.path, tensors, shapes, _remedy(job))
    params = tensors.pop("params")
    mdnrnn = MDNRNN(agent.task)
    mdnrnn.load_state_dict(tensors)
    mdnrnn.done_positive_weight = float(about["done_positive_weight"])
    return replace(agent, mdnrnn=mdnrnn.eval(), params=params), about


def _keep(agent: Agent, job: Job, number: int, **about: float) -> None:
    """The agent's M and C after this round."""
    tensors = {"params": agent.params, **agent.mdnrnn.state_dict()}
    weight = agent.mdnrnn.done_positive_weight
    job.save(tensors, rounds=number + 1, done_positive_weight=weight, **about)


def load_games(number: int, task: Task, job: Job) -> Sequences | None:
    """The games of a round, or None where none were kept."""
    return Sequences.load(_games(number, job), task, _remedy(job))


def _state(job: Job) -> Job:
    return job.part(keep="state.safetensors")


def _games(number: int, job: Job) -> Job:
    return job.part(keep=f"games-{number:02d}.safetensors")


def _remedy(job: Job) -> str:
    return f"delete {job.path}: the rounds then start from the first"
