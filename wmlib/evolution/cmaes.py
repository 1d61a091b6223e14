"""CMA-ES over a world (paper, section 2.3 and appendix A.4).

pycma does the evolving. Here is what stands around it: the tracks that a generation shares, tests of the
mean in the real game, checkpoint and resume.
"""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import cma
import numpy as np
import torch
from torch import Tensor

from wmlib.config import VALIDATION_SEEDS, Search, Validation
from wmlib.controller import Controller
from wmlib.evolution.pairs import MirroredPairs
from wmlib.evolution.space import SearchSpace
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import expect
from wmlib.runtime.job import Job
from wmlib.runtime.log import as_points
from wmlib.worlds.play import Elsewhere, Jerks, play
from wmlib.worlds.world import World

Evaluate = Callable[[Tensor, np.ndarray], np.ndarray]
"""evaluate(params (P, D), seeds (R,) or (P, R)) -> returns (P, R). A pure function."""


def scores_in(
    world: World | Elsewhere,
    controller: Controller,
    patience: int = 0,
    charge: bool = False,
    jerk: float = 0.0,
) -> Evaluate:
    """Scores of controllers that play in a world (see `play`).

    Args:
        jerk: what it costs per unit of squared change of the action.
    """
    if not jerk:
        return functools.partial(play, world, controller, patience=patience, charge=charge)

    def smooth(params: Tensor, seeds: np.ndarray) -> np.ndarray:
        jerks = Jerks(len(params) * np.shape(seeds)[-1])
        returns = play(world, controller, params, seeds, patience, [jerks], charge)
        return returns - jerk * jerks.totals.reshape(returns.shape)

    return smooth


@dataclass
class Progress:
    """What an evolution has seen so far; also what its checkpoint holds.

    fitness: (generations, P), higher is better, decay included. tracks: (generations, R), the
    candidates' mean return on each. validated: (tests, 2), the generation and the mean return. best:
    (D,) C's parameters with the best test. last: (D,) those at the last mean of the search; it follows
    from the rest.
    """

    fitness: list[np.ndarray] = field(default_factory=list)
    tracks: list[np.ndarray] = field(default_factory=list)
    validated: list[tuple[int, float]] = field(default_factory=list)
    best: Tensor | None = None
    last: Tensor | None = None

    @property
    def best_score(self) -> float:
        return max((score for _, score in self.validated), default=-np.inf)


@dataclass(frozen=True)
class Judge:
    """Tests of the mean in the real game: the only judge of which controller is kept.

    play: scores one controller, (1, D), on the seeds of a test. frames: tells how many were played in
    all, for the log.
    """

    play: Evaluate
    plan: Validation = field(default_factory=Validation)
    frames: Callable[[], int] | None = None

    def due(self, done: int) -> bool:
        return done % self.plan.every == 0

    def test(self, progress: Progress, params: Tensor, generation: int, job: Job) -> None:
        """Test a controller (D,), and note in `progress` what came out."""
        seeds = VALIDATION_SEEDS + np.arange(self.plan.episodes)
        before = self.frames() if self.frames else 0
        returns = self.play(params[None], seeds)
        _check_finite(returns, generation, job)
        score = float(returns.mean())
        if score > progress.best_score:
            progress.best = params
        progress.validated.append((generation, score))
        spread = float(returns.std(ddof=1))
        more = {"frames": self.frames() - before} if self.frames else {}
        job.log.event(job.name, generation, real=score, real_sd=spread, n=returns.size, **more)


def evolve(
    search: Search,
    space: SearchSpace,
    evaluate: Evaluate,
    job: Job,
    judge: Judge | None = None,
    frames: Callable[[], int] | None = None,
) -> Progress:
    """Evolve C and return the controller that did best in the tests.

    Args:
        evaluate: scores candidates (P, D) on seeds (R,) or (P, R) in whatever world, to (P, R).
        job: keeps the fitnesses; pycma is brought back by telling it again what it was told.
        judge: tests the mean in the real game now and then. Without one the last mean is kept.
        frames: tells how many have been played in all, for the log.

    Raises:
        ConfigError: a score is not finite. The checkpoint is that of the generation before.
    """
    progress = load_progress(search, space, job)
    strategy = _strategy(search, space.size, job.seed_of("cma"))
    means: list[np.ndarray] = []

    def tell(candidates: np.ndarray, fitness: np.ndarray) -> None:
        strategy.tell(candidates, (-fitness).tolist())
        means[:] = [*means, strategy.mean][-search.average :]

    def mean() -> Tensor:
        return space.params(np.mean(means or [strategy.mean], axis=0)[None])[0]

    for fitness in progress.fitness:
        tell(strategy.ask(), fitness)
    first = len(progress.fitness)
    if first == 0 and judge:
        judge.test(progress, mean(), 0, job)
    with job.log.bar(search.generations, job.name, "generations", first) as bar:
        for generation in range(first, search.generations):
            before = frames() if frames else 0
            x = np.array(strategy.ask())
            seeds = generation_seeds(search, job, generation, progress.tracks)
            returns = evaluate(space.params(x), seeds)  # (P, R)
            _check_finite(returns, generation + 1, job)
            fitness = returns.mean(1)
            if search.finals:
                fitness = _finals(search, space, evaluate, job, generation, x, returns)
            fitness -= search.weight_decay * np.square(x).mean(1)
            tell(x, fitness)
            progress.fitness.append(fitness)
            progress.tracks.append(returns.mean(0))
            _tell_log(job, generation + 1, returns, strategy, frames() - before if frames else None)
            if judge is None:
                progress.best = mean()
            elif judge.due(generation + 1):
                judge.test(progress, mean(), generation + 1, job)
            _save(job, progress)
            real = {"real": as_points(progress.best_score)} if judge else {}
            bar.set_postfix(mean=as_points(returns.mean()), **real)
            bar.update()
    if judge and not judge.due(search.generations):
        # Not kept: a search that is given more generations later has no test here.
        judge.test(progress, mean(), search.generations, job)
    progress.last = space.params(strategy.mean[None])[0]
    return progress


def _check_finite(returns: np.ndarray, generation: int, job: Job) -> None:
    """pycma would take a NaN for a score, and search on from it."""
    if np.isfinite(returns).all():
        return
    job.log.event(job.name, generation, diverged="score")
    stage = f"{job.name}." if job.name in ("iterate", "rounds") else ""  # they train an M of their own
    raise ConfigError(
        f"{job.name}: a score is not finite in generation {generation}: M foretells what can't be; "
        f"train it anew with a lower --{stage}mdnrnn.learning-rate"
    )


_LATELY = 8  # generations to whose tracks a search may come back


def generation_seeds(
    search: Search, job: Job, generation: int, tracks: Sequence[np.ndarray] = ()
) -> np.ndarray:
    """The tracks (or dreams) of a generation: (R,) common to all, or (P, R). All are training seeds.

    Args:
        tracks: of the generations before, the candidates' mean return on each track (R,).
    """
    rng = job.rng("seeds", generation)
    if search.strategy == "pairs":
        of_pairs = rng.integers(0, VALIDATION_SEEDS, size=(search.population // 2, search.episodes))
        return of_pairs.repeat(2, 0)
    shape = search.episodes if search.common else (search.population, search.episodes)
    seeds = rng.integers(0, VALIDATION_SEEDS, size=shape)
    if search.hard and generation:
        lately = range(max(0, generation - _LATELY), generation)
        # New ones come last, so that a hard track is not called hard for ever.
        new = [
            (tracks[g][r], seed)
            for g in lately
            for r, seed in enumerate(job.rng("seeds", g).integers(0, VALIDATION_SEEDS, size=shape))
            if r >= search.hard or g == 0
        ]
        seeds[: search.hard] = [seed for _, seed in sorted(new)[: search.hard]]
    return seeds


def _finals(
    search: Search,
    space: SearchSpace,
    evaluate: Evaluate,
    job: Job,
    generation: int,
    x: np.ndarray,
    returns: np.ndarray,
) -> np.ndarray:
    """The better half drives further tracks. Returns the fitness (P,): finalists stay above the others,
    in the order of all that they drove (for CMA-ES only the order counts)."""
    fitness = returns.mean(1)
    better = np.argsort(-fitness, kind="stable")[: len(fitness) // 2]
    seeds = job.rng("finals", generation).integers(0, VALIDATION_SEEDS, size=search.finals)
    more = evaluate(space.params(x[better]), seeds)
    _check_finite(more, generation + 1, job)
    of_all = np.concatenate([returns[better], more], 1).mean(1)
    others = np.delete(fitness, better)
    fitness[better] = of_all + max(0.0, others.max() - of_all.min())
    return fitness


def load_progress(search: Search, space: SearchSpace, job: Job) -> Progress:
    """What the job has kept: nothing if it was of another configuration, or of a longer evolution, whose
    best may lie beyond the end of this one."""
    remedy = "delete it: this stage then starts from its beginning"
    kept = job.load(remedy)
    if kept is None:
        return Progress()
    tensors, about = kept
    shapes = {
        "fitness": (about.get("generations"), search.population),
        "tracks": (about.get("generations"), search.episodes),
        "validated": (about.get("tests"), 2),
    }
    expect(job.path, tensors, shapes | {"best": (space.controller.size,)}, remedy)
    validated = [(int(generation), score) for generation, score in tensors["validated"].tolist()]
    by_generation = (list(tensors[name].numpy()) for name in ("fitness", "tracks"))
    progress = Progress(*by_generation, validated, tensors["best"])
    return progress if len(progress.fitness) <= search.generations else Progress()


def _save(job: Job, progress: Progress) -> None:
    tensors = {
        "fitness": torch.from_numpy(np.array(progress.fitness)),
        "tracks": torch.from_numpy(np.array(progress.tracks)),
        "validated": torch.tensor(progress.validated, dtype=torch.float64).reshape(-1, 2),
        "best": progress.best,
    }
    job.save(tensors, generations=len(progress.fitness), tests=len(progress.validated))


def _tell_log(
    job: Job,
    done: int,
    returns: np.ndarray,
    strategy: cma.CMAEvolutionStrategy | MirroredPairs,
    frames: int | None,
) -> None:
    job.log.event(
        job.name,
        done,
        mean=float(returns.mean()),
        best=float(returns.mean(1).max()),
        sigma=float(strategy.sigma),
        size=float(np.sqrt(np.square(strategy.mean).mean())),
        **({} if frames is None else {"frames": frames}),
    )


def _strategy(search: Search, size: int, seed: int) -> cma.CMAEvolutionStrategy | MirroredPairs:
    rng = np.random.default_rng(seed)
    if search.strategy == "pairs":
        return MirroredPairs(size, search.population, search.sigma, rng)
    options = {
        "popsize": search.population,
        "CMA_diagonal": search.diagonal,
        "seed": np.nan,  # leaves numpy's global generator alone; ours is randn
        "randn": lambda *shape: rng.standard_normal(shape),
        "verbose": -9,
        "maxiter": np.inf,
    }
    return cma.CMAEvolutionStrategy(np.zeros(size), search.sigma, options)
