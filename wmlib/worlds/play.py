"""The one loop in which games are played, real or dreamt, by whoever plays, for whoever watches."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from wmlib.controller import Controller
from wmlib.data.sequences import Sequences
from wmlib.task import Policy
from wmlib.worlds.world import World


class Player(Protocol):
    """Who plays in all lanes of a world."""

    def begin(self, lanes: np.ndarray, games: np.ndarray, seen: Tensor | np.ndarray) -> None:
        """Games begin in the chosen lanes (bool). games: (lanes,), the number of the game in each; 0
        where there is none."""

    def act(self, active: np.ndarray, seen: Tensor | np.ndarray) -> Tensor | np.ndarray:
        """Actions (lanes, A), from what the world shows."""


class Observer:
    """Who watches games, or keeps them. These methods do nothing: override what you need."""

    def begin(self, lanes: np.ndarray, games: np.ndarray) -> None:
        """Games have begun in the chosen lanes, (lanes,) bool: the world shows how. games: (lanes,), the
        number of the game in each."""

    def step(
        self, lanes: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        """The chosen lanes, (lanes,) bool, have made a step: the world shows what came.

        Args:
            actions: (lanes, A). rewards: (lanes,) float64. terminated: (lanes,) bool.
        """

    def end(self, lane: int, game: int, total: float) -> None:
        """The game of this number, in this lane, is over; it earned so much."""


@torch.inference_mode()
def play_games(
    world: World,
    player: Player,
    seeds: np.ndarray,
    patience: int = 0,
    observers: Sequence[Observer] = (),
    charge: bool = False,
) -> np.ndarray:
    """Play a game on every seed.

    A lane that finishes is given the next game, so that no core waits for the longest one.

    Args:
        seeds: (G,); a game's number is its place in here.
        patience: end an episode after so many steps without a positive reward; 0 never does.
        charge: whether an episode that patience ends is charged for the steps that are left, as if they
            went on like those for which it was waited. (Else to give up costs less than to drive on.)

    Returns:
        returns (G,), float64.
    """
    games, lanes = len(seeds), world.lanes
    returns = np.zeros(games)
    if not games:
        return returns
    game_of = np.arange(lanes)  # the game in each lane; >= games: none
    upcoming, waited, waste = lanes, np.zeros(lanes, int), np.zeros(lanes)
    busy = game_of < games

    def begin(chosen: np.ndarray) -> Tensor | np.ndarray:
        now = np.where(game_of < games, game_of, 0)
        seen, _ = world.reset(seed=[int(seeds[g]) for g in now], options={"reset_mask": chosen})
        player.begin(chosen, now, seen)
        for observer in observers:
            observer.begin(chosen, now)
        return seen

    seen = begin(busy.copy())
    while busy.any():
        actions = player.act(busy, seen)
        seen, rewards, terminated, truncated, _ = world.step(actions)
        returns[game_of[busy]] += rewards[busy]
        waited = np.where(rewards > 0, 0, waited + 1)
        waste = np.where(rewards > 0, 0, waste + rewards)
        bored = (waited >= patience) if patience else np.zeros(lanes, bool)
        if charge and (unpaid := busy & bored & ~terminated).any():
            returns[game_of[unpaid]] += (waste / waited.clip(1) * world.left)[unpaid]
        for observer in observers:
            observer.step(busy.copy(), np.asarray(actions), rewards, terminated)
        finished = busy & (terminated | truncated | bored)
        if not finished.any():
            continue
        world.stop(finished)
        for lane in np.flatnonzero(finished):
            for observer in observers:
                observer.end(int(lane), int(game_of[lane]), float(returns[game_of[lane]]))
            game_of[lane], upcoming = upcoming, upcoming + 1
        busy = game_of < games
        refill = finished & busy
        if refill.any():
            waited[refill], waste[refill] = 0, 0
            seen = begin(refill)
    return returns


class Controllers:
    """Controllers as players: in each lane the one whose game it is.

    Args:
        params: (P, D). games_each: game g is that of controller g // games_each.
    """

    def __init__(self, controller: Controller, params: Tensor, games_each: int):
        self.controller, self.params, self.games_each = controller, params, games_each
        self._of_lane = params[:0]  # (lanes, D)

    def begin(self, lanes: np.ndarray, games: np.ndarray, seen: Tensor) -> None:
        self._of_lane = self.params[torch.from_numpy(games // self.games_each)]

    def act(self, active: np.ndarray, seen: Tensor) -> Tensor:
        return self.controller.act(self._of_lane, seen[:, None])[:, 0]


class PolicyPlayer:
    """A `Policy` as a player: one who sees frames.

    Args:
        seeds: (G,), of the games that are going to be played.
    """

    def __init__(self, policy: Policy, seeds: np.ndarray):
        self.policy, self.seeds = policy, seeds

    def begin(self, lanes: np.ndarray, games: np.ndarray, seen: np.ndarray) -> None:
        self.policy.restart(lanes, [int(self.seeds[g]) for g in games], seen)

    def act(self, active: np.ndarray, seen: np.ndarray) -> np.ndarray:
        return self.policy.act(active, seen)


class Elsewhere(ABC):
    """A world whose games are not stepped here: they are played elsewhere, as wholes.

    `play` and `record` take one wherever they take a world. Their observers then hear what `Hearsay`
    tells, and nothing else.
    """

    steps_played: int
    """Steps of all games that have come back, as a world counts them."""

    @abstractmethod
    def play(
        self,
        controller: Controller,
        params: Tensor,
        seeds: np.ndarray,
        patience: int,
        charge: bool,
        hearsay: "Hearsay",
    ) -> np.ndarray:
        """Returns (P, R) of controllers params (P, D) on seeds (P, R). patience, charge: see
        `play_games`."""

    @abstractmethod
    def record(
        self,
        controller: Controller,
        params: Tensor,
        seeds: np.ndarray,
        patience: int,
        hearsay: "Hearsay",
    ) -> Sequences:
        """A game of each controller, params (N, D) on seeds (N,), as V saw it."""

    def __enter__(self):
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:  # noqa: B027
        """Nothing is open here."""


def play(
    world: World | Elsewhere,
    controller: Controller,
    params: Tensor,
    seeds: Sequence[int] | np.ndarray,
    patience: int = 0,
    observers: Sequence[Observer] = (),
    charge: bool = False,
) -> np.ndarray:
    """Play every controller on every seed.

    Args:
        params: (P, D). seeds: (R,) common to all, or (P, R).
        patience, charge: see `play_games`.
        observers: who watches; game p R + r is that of controller p on its seed r.

    Returns:
        returns (P, R), float64.
    """
    seeds = np.broadcast_to(np.asarray(seeds), (len(params), np.shape(seeds)[-1]))
    if isinstance(world, Elsewhere):
        return world.play(controller, params, seeds, patience, charge, Hearsay(observers))
    player = Controllers(controller, params, seeds.shape[1])
    returns = play_games(world, player, seeds.ravel(), patience, observers, charge)
    return returns.reshape(seeds.shape)


class Jerks(Observer):
    """Adds up, for each game, the squares by which the numbers of the action change from step to step.

    Args:
        games: how many are played.
    """

    def __init__(self, games: int):
        self.totals = np.zeros(games)
        self._game_of = np.zeros(0, int)
        self._last: np.ndarray | None = None  # (lanes, A)

    def begin(self, lanes: np.ndarray, games: np.ndarray) -> None:
        self._game_of = games.copy()
        self._begun = lanes.copy() if self._last is None else self._begun | lanes

    def step(
        self, lanes: np.ndarray, actions: np.ndarray, rewards: np.ndarray, terminated: np.ndarray
    ) -> None:
        if self._last is not None:
            went_on = lanes & ~self._begun
            change = np.square(actions[went_on] - self._last[went_on]).sum(1)
            np.add.at(self.totals, self._game_of[went_on], change)
        self._last, self._begun = actions.copy(), np.zeros(len(lanes), bool)


class Listener(Observer):
    """Calls a function with each game's return, as games end."""

    def __init__(self, tell: Callable[[float], None]):
        self.tell = tell

    def end(self, lane: int, game: int, total: float) -> None:
        self.tell(total)


class Hearsay:
    """What observers hear of games that are played elsewhere: their ends, and how much the actions
    changed in them.

    Raises:
        ValueError: one of them wants to see more than that.
    """

    def __init__(self, observers: Sequence[Observer]):
        if not all(isinstance(observer, Listener | Jerks) for observer in observers):
            raise ValueError(
                "of games that are played elsewhere, a Listener hears the ends and Jerks the jerks; no "
                "more is heard"
            )
        self.listeners = [observer for observer in observers if isinstance(observer, Listener)]
        self.jerks = [observer for observer in observers if isinstance(observer, Jerks)]

    def end(self, game: int, total: float, jerk: float = 0.0) -> None:
        """The game of this number is over. jerk: what `Jerks` made of it, if anybody wants to know."""
        for observer in self.listeners:
            observer.end(0, game, total)
        for observer in self.jerks:
            observer.totals[game] = jerk
