"""Scores that can be trusted: n games, mean, spread, an interval, and every single return."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch

from wmlib.agent import Agent
from wmlib.cluster import Far, Rules, crew_at
from wmlib.config import VALIDATION_SEEDS, EvaluateConfig, Machine
from wmlib.controller import Controller
from wmlib.envs.games import GameKind
from wmlib.runtime.log import RunLog, as_points
from wmlib.runtime.seeds import digest_of, digest_of_weights
from wmlib.runtime.versions import game_versions
from wmlib.task import Task
from wmlib.worlds.play import Elsewhere, Hearsay, Listener, PolicyPlayer, play, play_games
from wmlib.worlds.real import FrameWorld
from wmlib.worlds.world import World

BLIND_GAMES = 32
"""Games in which it is found out who plays best of those that see nothing."""


@dataclass(frozen=True)
class Score:
    """What `evaluate` reports. ci95 is a bootstrap interval of the mean."""

    task: str
    world: str
    n: int
    first_seed: int
    mean: float
    sd: float
    ci95: tuple[float, float]
    returns: list[float]
    versions: dict[str, str]
    player: str = "agent"

    def __str__(self) -> str:
        mean, sd, low, high = map(as_points, (self.mean, self.sd, *self.ci95))
        return f"{mean} ± {sd} (n = {self.n}, 95 % interval {low} to {high})"

    def as_dict(self) -> dict:
        return asdict(self)


def bootstrap_interval(
    returns: np.ndarray, level: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean of returns (n,); the same returns give the same one."""
    rng = np.random.default_rng(0)
    returns = np.asarray(returns, float)
    n = len(returns)
    # A row at a time: of very many games, all rows together would not fit the memory.
    means = [returns[rng.integers(n, size=n)].mean() for _ in range(resamples)]
    tail = (1 - level) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def score_of(
    returns: np.ndarray,
    task: str,
    world: str,
    first_seed: int,
    player: str = "agent",
    packages: Sequence[str] = (),
) -> Score:
    """packages: behind the game, whose releases are told besides."""
    low, high = bootstrap_interval(returns)
    return Score(
        task, world, len(returns), first_seed, round(float(np.mean(returns)), 2),
        round(float(np.std(returns, ddof=1)), 2), (round(low, 2), round(high, 2)),
        [round(float(r), 2) for r in returns], game_versions(*packages) | {"torch": torch.__version__},
        player,
    )  # fmt: skip


def paired(first: Mapping[int, float], other: Mapping[int, float]) -> tuple[float, float]:
    """How far one lies above another on the seeds that both have.

    Args:
        first, other: seed -> score.

    Returns:
        The mean difference, other minus first, and its standard error, (mean, error). NaN for what too
        few seeds can't tell: a mean needs one, an error two.
    """
    apart = [other[seed] - first[seed] for seed in sorted(first.keys() & other.keys())]
    mean = np.mean(apart) if apart else np.nan
    error = np.std(apart, ddof=1) / np.sqrt(len(apart)) if len(apart) > 1 else np.nan
    return float(mean), float(error)


def digest_of_agent(agent: Agent) -> str:
    """The same for the same V, M, C and beginnings of dreams: what a score is a score of."""
    small = (agent.params, agent.starts.mu, agent.starts.logvar)
    models = (agent.vae, agent.mdnrnn)
    return digest_of(*map(digest_of_weights, models), *(tensor.tolist() for tensor in small))


def evaluate(
    world: World | Elsewhere,
    controller: Controller,
    params: torch.Tensor,
    config: EvaluateConfig,
    log: RunLog,
    name: str = "real",
) -> Score:
    """Score one controller, (D,), on the seeds from `config.first_seed` on.

    `world` may be the game or the dream; `name` is what the score calls it.
    """
    with _Bar(config, log) as bar:
        returns = play(world, controller, params[None], _seeds(config), observers=[bar])[0]
    task = controller.task
    return score_of(returns, task.name, name, config.first_seed, packages=task.packages)


def evaluate_policy(
    task: Task, policy: str, config: EvaluateConfig, machine: Machine, log: RunLog, kind: GameKind
) -> Score:
    """Score one of the task's players that see nothing (`Task.policies`) in the game.

    Raises:
        KeyError: the task has no such player.
    """
    lanes, seeds, game = machine.lanes_for(config.episodes), _seeds(config), task.game(kind)
    player = PolicyPlayer(task.policies()[policy](task, lanes), seeds)
    if machine.scheduler:
        rules = Rules(config.horizon, game=kind, policy=policy)
        with _Bar(config, log) as bar:
            far = Far(crew_at(machine.scheduler), task, rules, {})
            returns = far.blind_returns(seeds, Hearsay([bar]))
    else:
        with (
            FrameWorld(game, lanes, machine.worker_count, config.horizon) as world,
            _Bar(config, log) as bar,
        ):
            returns = play_games(world, player, seeds, observers=[bar])
    return score_of(returns, task.name, "real", config.first_seed, policy, task.packages)


def best_blind(task: Task, config: EvaluateConfig, machine: Machine, log: RunLog, kind: GameKind) -> str:
    """The name of the task's player that sees nothing and earns most, in validation games.

    config: says after how many frames they are cut.
    """
    tried = EvaluateConfig(BLIND_GAMES, VALIDATION_SEEDS, config.horizon)
    means = {
        name: evaluate_policy(task, name, tried, machine, log, kind).mean for name in task.policies()
    }
    for name, mean in sorted(means.items(), key=lambda each: -each[1]):
        log.say(f"{name}: {as_points(mean)} in {BLIND_GAMES} validation games")
    return max(means, key=means.get)


def _seeds(config: EvaluateConfig) -> np.ndarray:
    return config.first_seed + np.arange(config.episodes)


class _Bar(Listener):
    """A bar that shows the mean of the games that have ended."""

    def __init__(self, config: EvaluateConfig, log: RunLog):
        super().__init__(self._show)
        self.bar, self.seen = log.bar(config.episodes, "evaluate", "episodes"), []

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_) -> None:
        self.bar.close()

    def _show(self, total: float) -> None:
        self.seen.append(total)
        self.bar.set_postfix(mean=as_points(np.mean(self.seen)))
        self.bar.update()
