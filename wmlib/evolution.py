"""CMA-ES over a world (paper, section 2.3 and appendix A.4).

pycma does the evolving. Here is what stands around it: the coordinates in which it searches, the tracks
that a generation shares, tests of the mean in the real game, checkpoint and resume.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import cma
import numpy as np
import torch
from torch import Tensor

from wmlib.artifacts import expect, load_tensors, save_tensors
from wmlib.config import VALIDATION_SEEDS, EvolutionConfig
from wmlib.mdnrnn import MDNRNN
from wmlib.moments import DreamStarts
from wmlib.runlog import RunLog
from wmlib.searchspace import SearchSpace
from wmlib.training import dream_dtype, seed_of
from wmlib.worlds import DreamWorld

Evaluate = Callable[[Tensor, np.ndarray], np.ndarray]
"""evaluate(params (P, D), seeds (R,) or (P, R)) -> returns (P, R). A pure function."""


@dataclass
class Progress:
    """What an evolution has seen so far; also what its checkpoint holds.

    fitness: (generations, P), higher is better, decay included. validated: (tests, 2), the generation
    and the mean return. best: (D,) C's parameters with the best test. last: (D,) those at the last
    mean of the search; it follows from the rest.
    """

    fitness: list[np.ndarray] = field(default_factory=list)
    validated: list[tuple[int, float]] = field(default_factory=list)
    best: Tensor | None = None
    last: Tensor | None = None

    @property
    def best_score(self) -> float:
        return max((score for _, score in self.validated), default=-np.inf)


def evolve(
    config: EvolutionConfig,
    space: SearchSpace,
    evaluate: Evaluate,
    validate: Evaluate | None,
    stage: str,
    seed: int,
    log: RunLog,
    checkpoint: Path | None = None,
    digest: str = "",
) -> Progress:
    """Evolve C and return the controller that did best in the tests.

    Args:
        evaluate: scores candidates in the world that `config` names.
        validate: scores one controller in the real game: the only judge of which one is kept. Without
            it the last mean is kept.
    """
    progress = Progress()
    if checkpoint is not None and checkpoint.exists():
        progress = _load(checkpoint, digest, config, space)
    if len(progress.fitness) > config.generations:
        progress = Progress()  # of a longer evolution, whose best may lie beyond the end of this one
    strategy = _strategy(config, space.size, seed_of(seed, stage, "cma"))
    means: list[np.ndarray] = []
    for fitness in progress.fitness:  # pycma is brought back by telling it again what it was told
        strategy.tell(strategy.ask(), (-fitness).tolist())
        means = [*means, strategy.mean][-config.average :]
    first = len(progress.fitness)
    if first == 0 and validate:
        _validate(progress, space, [strategy.mean], 0, config, validate, stage, log)
    with log.bar(config.generations, stage, "generations", first) as bar:
        for generation in range(first, config.generations):
            x = np.array(strategy.ask())
            seeds = generation_seeds(config, stage, seed, generation)
            returns = evaluate(space.params(x), seeds)  # (P, R)
            fitness = returns.mean(1) - config.weight_decay * np.square(x).mean(1)
            strategy.tell(x, (-fitness).tolist())
            means = [*means, strategy.mean][-config.average :]
            progress.fitness.append(fitness)
            log.event(
                stage, generation + 1, mean=float(returns.mean()), best=float(returns.mean(1).max()),
                sigma=float(strategy.sigma), size=float(np.sqrt(np.square(strategy.mean).mean())),
            )  # fmt: skip
            done = generation + 1
            if validate is None:
                progress.best = space.params(np.mean(means, axis=0)[None])[0]
            elif done % config.validate_every == 0 or done == config.generations:
                _validate(progress, space, means, done, config, validate, stage, log)
            if checkpoint is not None:
                _save(checkpoint, progress, digest)
            real = {"real": f"{progress.best_score:.0f}"} if validate else {}
            bar.set_postfix(mean=f"{returns.mean():.0f}", **real)
            bar.update()
    progress.last = space.params(strategy.mean[None])[0]
    return progress


def dream_of(
    config: EvolutionConfig, mdnrnn: MDNRNN, starts: DreamStarts, end_weight: float
) -> DreamWorld:
    """M's dream, wide enough for a whole generation at once.

    Args:
        end_weight: see `DreamWorld`.
    """
    lanes = config.population * config.episodes
    return DreamWorld(
        mdnrnn, starts, lanes, config.horizon, config.temperature, config.end, end_weight,
        dtype=dream_dtype(config.precision),
    )  # fmt: skip


def generation_seeds(config: EvolutionConfig, stage: str, seed: int, generation: int) -> np.ndarray:
    """The tracks (or dreams) of a generation: (R,) common to all, or (P, R). All are training seeds."""
    rng = np.random.default_rng(seed_of(seed, stage, "seeds", generation))
    shape = config.episodes if config.common else (config.population, config.episodes)
    return rng.integers(0, VALIDATION_SEEDS, size=shape)


def _validate(progress, space, means, generation, config, validate, stage, log) -> None:
    params = space.params(np.mean(means, axis=0)[None])
    seeds = VALIDATION_SEEDS + np.arange(config.validation_episodes)
    returns = validate(params, seeds)
    score = float(returns.mean())
    if score > progress.best_score:
        progress.best = params[0]
    progress.validated.append((generation, score))
    log.event(stage, generation, real=score, real_sd=float(returns.std(ddof=1)), n=returns.size)


def _strategy(config: EvolutionConfig, size: int, seed: int) -> cma.CMAEvolutionStrategy:
    rng = np.random.default_rng(seed)
    options = {
        "popsize": config.population,
        "CMA_diagonal": config.diagonal,
        "seed": np.nan,  # leaves numpy's global generator alone; ours is randn
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "maxiter": np.inf,
    }
    return cma.CMAEvolutionStrategy(np.zeros(size), config.sigma, options)


def _save(path: Path, progress: Progress, digest: str) -> None:
    tensors = {
        "fitness": torch.from_numpy(np.array(progress.fitness)),
        "validated": torch.tensor(progress.validated, dtype=torch.float64).reshape(-1, 2),
        "best": progress.best,
    }
    about = {"digest": digest, "generations": len(progress.fitness), "tests": len(progress.validated)}
    save_tensors(path, tensors, about)


def _load(path: Path, digest: str, config: EvolutionConfig, space: SearchSpace) -> Progress:
    remedy = "delete it: this stage then starts from its beginning"
    tensors, about = load_tensors(path, remedy)
    if about.get("digest") != digest:
        return Progress()
    shapes = {
        "fitness": (about.get("generations"), config.population),
        "validated": (about.get("tests"), 2),
    }
    expect(path, tensors, shapes | {"best": (space.controller.size,)}, remedy)
    validated = [(int(generation), score) for generation, score in tensors["validated"].tolist()]
    return Progress(list(tensors["fitness"].numpy()), validated, tensors["best"])
