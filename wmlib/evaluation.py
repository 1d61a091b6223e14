"""Scores that can be trusted: n games, mean, spread, an interval, and every single return."""

from dataclasses import asdict, dataclass

import numpy as np
import torch

from wmlib.config import EvaluateConfig, Machine, Task
from wmlib.controller import Controller
from wmlib.envs import GameKind, open_games
from wmlib.rollouts import POLICIES, game_versions, record
from wmlib.runlog import RunLog
from wmlib.worlds import World, play


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
        low, high = self.ci95
        return f"{self.mean:.0f} ± {self.sd:.0f} (n = {self.n}, 95 % interval {low:.0f} to {high:.0f})"

    def as_dict(self) -> dict:
        return asdict(self)


def bootstrap_interval(
    returns: np.ndarray, level: float = 0.95, resamples: int = 10_000
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean; the same returns give the same interval."""
    rng = np.random.default_rng(0)
    returns = np.asarray(returns, float)
    picks = rng.integers(len(returns), size=(resamples, len(returns)))
    tail = (1 - level) / 2
    low, high = np.quantile(returns[picks].mean(1), [tail, 1 - tail])
    return float(low), float(high)


def score_of(
    returns: np.ndarray, task: str, world: str, first_seed: int, player: str = "agent"
) -> Score:
    low, high = bootstrap_interval(returns)
    return Score(
        task, world, len(returns), first_seed, round(float(np.mean(returns)), 2),
        round(float(np.std(returns, ddof=1)), 2), (round(low, 2), round(high, 2)),
        [round(float(r), 2) for r in returns], game_versions() | {"torch": torch.__version__},
        player,
    )  # fmt: skip


def evaluate(
    world: World,
    controller: Controller,
    params: torch.Tensor,
    config: EvaluateConfig,
    log: RunLog,
    name: str = "real",
) -> Score:
    """Score one controller, (D,), on the seeds from `config.first_seed` on.

    `world` may be the game or the dream; `name` is what the score calls it.
    """
    seeds = config.first_seed + np.arange(config.episodes)
    with log.bar(config.episodes, "evaluate", "episodes") as bar:
        seen: list[float] = []

        def show(_: int, value: float) -> None:
            seen.append(value)
            bar.set_postfix(mean=f"{np.mean(seen):.0f}")
            bar.update()

        returns = play(world, controller, params[None], seeds, on_finish=show)[0]
    return score_of(returns, controller.task.name, name, config.first_seed)


def evaluate_explorer(
    task: Task, policy: str, config: EvaluateConfig, machine: Machine, log: RunLog, kind: GameKind
) -> Score:
    """Score an explorer (see `CollectConfig.policy`) in the game: what chance alone gets."""
    lanes = min(machine.lanes, config.episodes)
    seeds = [config.first_seed + game for game in range(config.episodes)]
    returns = dict.fromkeys(seeds, 0.0)
    with (
        open_games(task.name, lanes, machine.worker_count, kind, task.game_options) as games,
        log.bar(config.episodes, "evaluate", "episodes") as bar,
    ):
        for episode in record(games, POLICIES[policy](task, lanes), seeds, config.horizon):
            returns[episode.seed] = float(episode.rewards.sum(dtype=float))
            bar.update()
    return score_of(np.array(list(returns.values())), task.name, "real", config.first_seed, policy)
