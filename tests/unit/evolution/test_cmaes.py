"""CMA-ES against pycma's own loop."""

import cma
import numpy as np
import pytest
import torch

from wmlib.config import VALIDATION_SEEDS, Search, Validation
from wmlib.evolution.cmaes import Judge, evolve, generation_seeds
from wmlib.evolution.space import SearchSpace
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import load_tensors
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog, read_events
from wmlib.runtime.seeds import seed_of

JOB = Job("dream")


def small(**changes):
    settings = dict(generations=6, population=6, episodes=2, sigma=0.3, weight_decay=0.0, diagonal=True)
    return Search(**(settings | changes))


def bowl(params, seeds):
    """A return with its top at 0.5 in the first three parameters, the same on every seed."""
    value = -(params[:, :3].double() - 0.5).square().sum(1).numpy()
    return np.repeat(value[:, None], np.shape(seeds)[-1], 1)


def judge(play=bowl):
    return Judge(play, Validation(every=2, episodes=3))


@pytest.fixture
def space(controller):
    return SearchSpace.plain(controller, torch.zeros(controller.size))


def test_it_is_pycmas_own_loop(space):
    config = small()
    rng = np.random.default_rng(seed_of(1, "dream", "cma"))
    options = {"popsize": 6, "CMA_diagonal": True, "seed": np.nan, "verbose": -9}
    options["randn"] = lambda *shape: rng.standard_normal(shape)
    oracle = cma.CMAEvolutionStrategy(np.zeros(space.size), 0.3, options)
    for _ in range(6):
        x = oracle.ask()
        oracle.tell(x, (-bowl(space.params(np.array(x)), [0])[:, 0]).tolist())
    seen = []

    def validate(params, seeds):
        seen.append(params[0])
        return bowl(params, seeds)

    evolve(config, space, bowl, JOB, judge(validate))
    torch.testing.assert_close(seen[-1], space.params(oracle.mean[None])[0])


def test_it_climbs(controller, space):
    progress = evolve(small(generations=150, population=16), space, bowl, JOB, judge())
    assert progress.best_score > -0.05 > bowl(torch.zeros(1, controller.size), [0])[0, 0]


def test_the_real_game_chooses_not_the_dream(space):
    scores = iter([[5.0] * 3, [9.0] * 3, [2.0] * 3, [7.0] * 3])
    kept = []

    def validate(params, seeds):
        assert list(seeds) == [VALIDATION_SEEDS + i for i in range(3)]
        kept.append(params[0])
        return np.array([next(scores)])

    progress = evolve(small(), space, bowl, JOB, judge(validate))
    assert progress.validated == [(0, 5.0), (2, 9.0), (4, 2.0), (6, 7.0)]
    assert torch.equal(progress.best, kept[1])


@pytest.mark.parametrize("diagonal", [True, False])
def test_going_on_from_a_checkpoint_is_as_if_never_stopped(tmp_path, controller, diagonal):
    reduced = SearchSpace.predictive(
        controller, torch.zeros(controller.size), [torch.randn(400, 288)], components=4
    )
    config = small(diagonal=diagonal, average=3)
    whole = evolve(config, reduced, bowl, JOB, judge())
    calls = 0

    def interrupted(params, seeds):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return bowl(params, seeds)

    job = Job("dream", path=tmp_path / "state.safetensors", digest="x")
    with pytest.raises(KeyboardInterrupt):
        evolve(config, reduced, interrupted, job, judge())
    resumed = evolve(config, reduced, bowl, job, judge())
    np.testing.assert_array_equal(resumed.fitness, whole.fitness)
    assert resumed.validated == whole.validated
    assert torch.equal(resumed.best, whole.best)


def test_a_checkpoint_of_another_configuration_is_not_gone_on_with(tmp_path, space):
    path = tmp_path / "state.safetensors"
    one, two = (Job("dream", path=path, digest=digest) for digest in ("one", "two"))
    evolve(small(generations=2), space, bowl, one, judge())
    other = evolve(small(generations=3), space, bowl, two, judge())
    assert len(other.fitness) == 3 and other.validated[0][0] == 0


def test_more_generations_go_on_and_fewer_begin_again(tmp_path, space):
    path = tmp_path / "state.safetensors"

    def run(generations, checkpoint=None):
        job = Job("dream", path=checkpoint, digest="same")
        return evolve(small(generations=generations), space, bowl, job, judge())

    run(3, path)  # tested at its end, where a longer one has no test
    for generations in (5, 2):
        resumed, straight = run(generations, path), run(generations)
        np.testing.assert_array_equal(resumed.fitness, straight.fitness)
        assert resumed.validated == straight.validated
        torch.testing.assert_close(resumed.best, straight.best, rtol=0, atol=0)


def test_weight_decay_counts_in_the_fitness(space):
    plain = evolve(small(generations=1), space, bowl, JOB, judge())
    decayed = evolve(small(generations=1, weight_decay=300.0), space, bowl, JOB, judge())
    cost = plain.fitness[0] - decayed.fitness[0]
    assert np.all(cost > 0) and cost.mean() == pytest.approx(300 * 0.3**2, rel=0.1)


def test_seeds_of_a_generation():
    job = Job("real")
    common = generation_seeds(small(), job, 0)
    assert common.shape == (2,)
    assert generation_seeds(small(common=False), job, 0).shape == (6, 2)
    later = [generation_seeds(small(), job, g) for g in range(50)]
    assert max(np.max(s) for s in later) < VALIDATION_SEEDS
    assert len({tuple(s) for s in later}) == 50


def test_mirrored_pairs_share_their_tracks_and_climb(controller, space):
    config = small(strategy="pairs", diagonal=False, population=20, generations=120, sigma=0.1)
    seen = []

    def noted(params, seeds):
        seen.append(seeds)
        return bowl(params, seeds)

    progress = evolve(config, space, noted, JOB)
    assert (seen[0][::2] == seen[0][1::2]).all() and len(np.unique(seen[0])) == 20
    start = bowl(torch.zeros(1, controller.size), [0])[0, 0]
    assert bowl(progress.best[None], [0])[0, 0] > start / 2


def test_finalists_are_ranked_by_all_that_they_drove_and_stay_above_the_others(space):
    """First all earn what the first parameter says; in the finals it is the other way round, by more."""
    config, told = small(generations=1, finals=3, population=8), []

    def turned(params, seeds):
        told.append((len(params), np.shape(seeds)))
        value = params[:, 0].double().numpy() * (1 if len(told) == 1 else -4)
        return np.repeat(value[:, None], np.shape(seeds)[-1], 1)

    progress = evolve(config, space, turned, JOB)
    assert told == [(8, (2,)), (4, (3,))]
    rng = np.random.default_rng(seed_of(1, "dream", "cma"))
    first = np.array([rng.standard_normal(space.size)[0] for _ in range(8)])  # as pycma asks
    order = np.argsort(-first)
    best, fitness = order[:4], progress.fitness[0]
    assert fitness[best].min() >= fitness[order[4:]].max()
    assert (np.argsort(fitness[best]) == [0, 1, 2, 3]).all()  # the first of the first round is now last
    # 2 tracks at x, 3 at -4 x: they differ as their means do
    np.testing.assert_allclose(np.ptp(fitness[best]), np.ptp(first[best]) * 0.3 * 2, rtol=1e-5)


def test_hard_tracks_come_back_and_are_not_hard_for_ever():
    search, rng = small(episodes=4, hard=2), np.random.default_rng(0)
    tracks, seeds = [], []
    for generation in range(12):
        seeds.append(generation_seeds(search, JOB, generation, tracks))
        tracks.append(rng.normal(size=4))
    plain = [generation_seeds(small(episodes=4), JOB, g) for g in range(12)]
    for g in range(12):
        new = 0 if g == 0 else 2
        assert (seeds[g][new:] == plain[g][new:]).all()
    worst = sorted(
        (tracks[g][r], plain[g][r]) for g in range(3, 11) for r in range(4) if r >= 2 or g == 0
    )
    assert list(seeds[11][:2]) == [seed for _, seed in worst[:2]]


def test_without_a_judge_the_last_mean_is_kept(space):
    config = small(average=2)
    progress = evolve(config, space, bowl, JOB)
    assert progress.validated == [] and len(progress.fitness) == config.generations
    start, end = (
        -bowl(p[None], np.zeros(1)).item()
        for p in (space.params(np.zeros((1, space.size)))[0], progress.best)
    )
    assert end < start


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_not_finite_stops_it_before_pycma_is_told(tmp_path, space, value):
    calls = 0

    def diverging(params, seeds):
        nonlocal calls
        calls += 1
        returns = bowl(params, seeds)
        if calls == 3:
            returns[2, 1] = value
        return returns

    job = Job("rounds", 1, RunLog(tmp_path, quiet=True), tmp_path / "state.safetensors")
    where = r"^rounds: a score is not finite in generation 3: .* --rounds\.mdnrnn\.learning-rate$"
    with pytest.raises(ConfigError, match=where):
        evolve(small(), space, diverging, job)
    assert load_tensors(job.path)[1]["generations"] == 2
    assert read_events(tmp_path)[-1]["diverged"] == "score"
    resumed, whole = (evolve(small(), space, bowl, each) for each in (job, Job("rounds")))
    np.testing.assert_array_equal(resumed.fitness, whole.fitness)


def test_a_test_that_is_not_finite_chooses_nothing(space):
    nowhere = judge(lambda params, seeds: np.full((1, 3), np.nan))
    where = r"^dream: .* generation 0: .* --mdnrnn\.learning-rate$"
    with pytest.raises(ConfigError, match=where):
        evolve(small(), space, bowl, JOB, nowhere)
