"""The world model and its driver teach each other, round after round (section 5, iterative training).

A driver gets to what no explorer has seen: hairpins, at speed. So, again and again, a crowd of C's near
relatives plays the game, M goes on learning from their games and from the explorers', and C goes on
learning in M's dream.

Why relatives, and not C with chance on its actions? M would take whatever C itself would not have done
for the beginning of a crash, and then no change to C looks good in a dream. Each relative drives by a
rule of its own; M learns what difference the rule makes.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from torch import Tensor

from wmlib.artifacts import expect, load_tensors, save_tensors, shapes_of
from wmlib.config import VALIDATION_SEEDS, RoundsConfig, Task
from wmlib.controller import Controller
from wmlib.diagnostics import features_of
from wmlib.evolution import dream_of, evolve
from wmlib.mdnrnn import MDNRNN
from wmlib.moments import DreamStarts, moments
from wmlib.recording import record, returns_of
from wmlib.runlog import RunLog
from wmlib.searchspace import SearchSpace
from wmlib.sequences import Blend, Sequences, join
from wmlib.training import seed_of, train_mdnrnn
from wmlib.worlds import DreamWorld, RealWorld, play

STAGE = "rounds"
_STARTS_OF_A_GAME = 8


def starts_of(
    mdnrnn: MDNRNN, games: Sequences, rng: np.random.Generator, margin: int = 90
) -> DreamStarts:
    """Moments of the games to dream on from.

    Args:
        margin: frames before the end of a game that are left out. The crash, or the boredom, that ended
            it is already under way there.
    """
    chosen = [rng.integers(0, max(1, n - margin), _STARTS_OF_A_GAME) for n in games.lengths]
    return moments(mdnrnn, games, chosen)


def run_rounds(
    config: RoundsConfig,
    open_world: Callable[[MDNRNN, int], RealWorld],
    mdnrnn: MDNRNN,
    controller: Controller,
    params: Tensor,
    explored: Sequences,
    folder: Path,
    seed: int,
    log: RunLog,
    digest: str = "",
) -> tuple[MDNRNN, Tensor]:
    """All rounds. Those that `folder` holds already, of the same digest, are not run again.

    Args:
        open_world: opens the real game, seen through V and the given M, for so many games to be played.
        mdnrnn, params: M and C (D,) to begin with. explored: the explorers' episodes.

    Returns:
        the last M, and the last C (D,).
    """
    first = 0
    state = folder / "state.safetensors"
    tensors, rounds = _load_state(state, mdnrnn, controller, digest)
    if 0 < rounds <= config.rounds:
        first, params = rounds, tensors.pop("params")
        mdnrnn.load_state_dict(tensors)

    def play_games(params: Tensor, rng: np.random.Generator) -> Sequences:
        seeds = rng.integers(0, VALIDATION_SEEDS, len(params))
        with open_world(mdnrnn, len(params)) as world:
            return record(world, controller, params, seeds, config.patience, log, STAGE)

    selves = max(1, config.games // 8)
    for number in range(first, config.rounds):
        rng = np.random.default_rng(seed_of(seed, STAGE, number))
        # The search's coordinates are fitted to what C sees: in the games of the round before, or, in
        # the first, in some that it plays for it.
        seen = _load_games(folder, number - 1, mdnrnn.task, digest)
        if seen is None:
            seen = play_games(params.expand(selves, -1), rng)
        space = SearchSpace.predictive(controller, params, features_of(mdnrnn, seen), config.components)
        games = _load_games(folder, number, mdnrnn.task, digest)
        if games is None:
            crowd = rng.standard_normal((config.games, space.size)) * config.spread
            crowd[:selves] = 0  # C itself, to know how it does
            games = play_games(space.params(crowd), rng)
            _save_games(folder, number, games, digest)
        returns = returns_of(games)
        itself = returns[:selves]
        log.event(
            STAGE, number, crowd=float(returns.mean()), itself=float(itself.mean()),
            frames=sum(games.lengths),
        )  # fmt: skip
        log.say(
            f"round {number + 1} of {config.rounds}: C earns {itself.mean():.0f} in the game, "
            f"its relatives {returns.mean():.0f} on average"
        )
        recent = range(max(0, number + 1 - config.recent), number + 1)
        loaded = [_load_games(folder, i, mdnrnn.task, digest) for i in recent]
        blend = Blend(explored, join([part for part in loaded if part]), config.share)
        mdnrnn = train_mdnrnn(
            blend, mdnrnn.task, config.mdnrnn, seed_of(seed, STAGE, number), log,
            folder / "mdnrnn.safetensors", f"{digest}-{number}", STAGE, mdnrnn,
        ).eval()  # fmt: skip
        # A generator of its own: a round that is taken up again does not draw its games anew.
        chance = np.random.default_rng(seed_of(seed, STAGE, number, "moments"))
        starts = starts_of(mdnrnn, games, chance)
        dream = dream_of(config.dream, mdnrnn, starts, config.mdnrnn.done_positive_weight)

        def score(candidates: Tensor, seeds: np.ndarray, dream: DreamWorld = dream) -> np.ndarray:
            return play(dream, controller, candidates, seeds)

        progress = evolve(
            config.dream, space, score, None, STAGE, seed_of(seed, STAGE, number, "dream"), log
        )
        params = progress.best
        tensors = {"params": params, **mdnrnn.state_dict()}
        save_tensors(state, tensors, {"digest": digest, "rounds": number + 1})
    return mdnrnn, params


def _load_state(
    path: Path, mdnrnn: MDNRNN, controller: Controller, digest: str
) -> tuple[dict[str, Tensor], int]:
    """M's weights and C after so many rounds: 0 where there are none of this digest."""
    if not path.exists():
        return {}, 0
    remedy = f"delete {path.parent}: the rounds then start from the first"
    tensors, about = load_tensors(path, remedy)
    if about.get("digest") != digest:
        return {}, 0
    expect(path, tensors, shapes_of(mdnrnn) | {"params": (controller.size,)}, remedy)
    return tensors, int(about["rounds"])


def _games(folder: Path, number: int) -> Path:
    return folder / f"games-{number:02d}.safetensors"


def _save_games(folder: Path, number: int, games: Sequences, digest: str) -> None:
    save_tensors(_games(folder, number), games.as_tensors(), {"digest": digest})


def _load_games(folder: Path, number: int, task: Task, digest: str) -> Sequences | None:
    """The games of a round, or None where there are none of this digest."""
    path = _games(folder, number)
    if not path.exists():
        return None
    remedy = f"delete {folder}: the rounds then start from the first"
    games, about = Sequences.load(path, task, remedy)
    return games if about.get("digest") == digest else None
