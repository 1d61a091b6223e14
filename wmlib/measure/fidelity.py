"""How far a dream may be believed: the dream's scores against the game's, and M's word on the end.

All of it is asked of games that an agent plays. On explorers' games M was trained; what C does is what
the dream is about.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from wmlib.agent import Agent
from wmlib.config import FIDELITY_SEEDS, FidelityConfig, Machine
from wmlib.controller import Controller
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.measure.diagnostics import open_loop_drift
from wmlib.runtime.log import RunLog, as_points
from wmlib.runtime.seeds import generator_of
from wmlib.worlds.moments import memories
from wmlib.worlds.play import play
from wmlib.worlds.record import record
from wmlib.worlds.world import World


@dataclass(frozen=True)
class EndReport:
    """M's alarms on recorded games: steps at which it holds the end for likelier than not.

    ends: games that ended by themselves. recall: share of those that had an alarm within `slack` steps
    of the end (NaN without any). too_early: share of all games in which an alarm came before that: a
    dream of the game would have stopped there. false_alarms: share of alarms among all steps farther
    from an end.
    """

    ends: int
    recall: float
    too_early: float
    false_alarms: float


@torch.inference_mode()
def examine_ends(mdnrnn: MDNRNN, data: Sequences, slack: int = 10) -> EndReport:
    """Whether M sees the ends of games come, and only those.

    slack: how many steps before the end an alarm is still right.
    """
    caught, early, false, calm = [], [], 0, 0
    first = 0
    for episode, steps in enumerate(data.lengths):
        ended = bool(data.dones[first + steps - 1] > 0.5)
        _, h = memories(mdnrnn, data, episode)
        alarm = mdnrnn.predict(h[1:]).done_logit > 0
        border = max(0, steps - 1 - slack) if ended else steps
        early.append(bool(alarm[:border].any()))
        false, calm = false + int(alarm[:border].sum()), calm + border
        if ended:
            caught.append(bool(alarm[border:].any()))
        first += steps
    return EndReport(
        ends=len(caught),
        recall=float(np.mean(caught)) if caught else float("nan"),
        too_early=float(np.mean(early)),
        false_alarms=false / max(calm, 1),
    )


@dataclass(frozen=True)
class Agreement:
    """Mean scores of the same controllers in the dream and in the game: dream, real (P,).

    correlation: of their ranks (Spearman): 1 if the dream orders them as the game does, 0 if its order
    says nothing. ci95: bootstrap interval over the controllers.
    """

    dream: np.ndarray
    real: np.ndarray
    correlation: float
    ci95: tuple[float, float]


def agreement(
    dream: World, real: World, controller: Controller, params: Tensor, seeds: np.ndarray
) -> Agreement:
    """Play each controller in both worlds on the same seeds.

    Args:
        params: (P, D). seeds: (R,).
    """
    scores = [play(world, controller, params, seeds).mean(1) for world in (dream, real)]
    return agreement_of(*scores)


def agreement_of(dream: np.ndarray, real: np.ndarray, resamples: int = 2000) -> Agreement:
    """From scores (P,) that are there already."""
    dream, real = np.asarray(dream, float), np.asarray(real, float)
    rng = np.random.default_rng(0)
    picks = rng.integers(len(dream), size=(resamples, len(dream)))
    drawn = [rank_correlation(dream[pick], real[pick]) for pick in picks]
    drawn = [value for value in drawn if not np.isnan(value)] or [np.nan]  # all alike: no order
    low, high = np.quantile(drawn, [0.025, 0.975])
    return Agreement(dream, real, rank_correlation(dream, real), (float(low), float(high)))


def graded_controllers(params: Tensor, count: int, seed: int = 1) -> Tensor:
    """Controllers from C itself to pure chance, in even steps: (count, D), the first is C, (D,)."""
    # The key's word is an older name of this; another would draw others than those published.
    noise = torch.randn(count, len(params), generator=generator_of(seed, "crowd"))
    share = torch.linspace(0, 1, count)[:, None]
    return (1 - share) * params + share * noise * params.square().mean().sqrt()


@dataclass(frozen=True)
class Fidelity:
    """What `measure_fidelity` finds.

    ends: None where M foretells none. drift and drift_of_copying: see `open_loop_drift`, of pictures,
    (steps,). dreams: tau to the mean and deviation of C's scores in the dream. real: the same in the
    game.
    """

    games: int
    ends: EndReport | None
    drift: np.ndarray
    drift_of_copying: np.ndarray
    dreams: dict[float, tuple[float, float]]
    real: tuple[float, float]
    order: Agreement

    def __str__(self) -> str:
        low, high = self.order.ci95
        steps = [step for step in (1, 10, 50) if step <= len(self.drift)]
        strays = ", ".join(f"{self.drift[s - 1]:.3f} after {s}" for s in steps)
        copies = ", ".join(f"{self.drift_of_copying[s - 1]:.3f}" for s in steps)
        dreams = "\n".join(
            f"  tau {tau:.2f}: {as_points(mean)} ± {as_points(sd)} in the dream"
            for tau, (mean, sd) in self.dreams.items()
        )
        mean, sd = map(as_points, self.real)
        return (
            f"{self.games} games of the agent: {mean} ± {sd}\n{dreams}\n"
            f"{_of_ends(self.ends)}"
            f"the dream's picture strays by {strays} steps (a still picture: {copies})\n"
            f"rank correlation of dream and game over {len(self.order.dream)} controllers: "
            f"{self.order.correlation:+.2f}, 95 % interval {low:+.2f} to {high:+.2f}"
        )


def _of_ends(ends: EndReport | None) -> str:
    if ends is None:
        return ""
    return (
        f"{ends.ends} of the games ended by themselves; M sees {ends.recall:.0%} of these come, "
        f"would have ended {ends.too_early:.0%} of the games too early, and cries wolf at "
        f"{ends.false_alarms:.2%} of the other steps\n"
    )


def measure_fidelity(agent: Agent, config: FidelityConfig, machine: Machine, log: RunLog) -> Fidelity:
    """Every measure of this module, on games that the agent plays.

    Their seeds are validation seeds, but none by which a controller was chosen.
    """
    games, tau, C = config.episodes, config.tau, agent.controller
    seeds = FIDELITY_SEEDS + np.arange(games)
    some = seeds[: max(2, games // 4)]
    with agent.real(games, machine) as real:
        data = record(real, C, agent.params.expand(games, -1), seeds, log=log)
        dream = agent.dream(config.controllers * len(some), tau=tau)
        order = agreement(dream, real, C, graded_controllers(agent.params, config.controllers), some)
    dreams = {}
    for each in config.taus:
        returns = play(agent.dream(games, tau=each), C, agent.params[None], seeds)[0]
        dreams[each] = _spread(returns)
    drift = copied = np.empty(0)
    if (steps := min(50, max(data.lengths) - 51)) > 0:  # else all games were too short
        drift, copied = open_loop_drift(agent.mdnrnn, data, steps, 50, tau, agent.vae)
    ends = examine_ends(agent.mdnrnn, data) if agent.task.predicts_done else None
    return Fidelity(games, ends, drift, copied, dreams, _spread(data.returns), order)


def _spread(returns: np.ndarray) -> tuple[float, float]:
    return float(returns.mean()), float(returns.std(ddof=1))


def rank_correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Spearman's: the correlation of ranks, equal values sharing theirs. NaN if all of one are equal."""
    x, y = (_ranks(np.asarray(values, float)) for values in (x, y))
    if x.std() == 0 or y.std() == 0:
        return float("nan")
    return float(np.corrcoef(x, y)[0, 1])


def _ranks(values: np.ndarray) -> np.ndarray:
    _, index, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[index]  # the mean of the ranks that they share
