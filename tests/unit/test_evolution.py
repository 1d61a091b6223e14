"""CMA-ES against pycma's own loop, and the search coordinates against plain algebra."""

import cma
import numpy as np
import pytest
import torch

from wmlib.config import VALIDATION_SEEDS, ControllerConfig, EvolutionConfig
from wmlib.controller import Controller
from wmlib.evolution import evolve, generation_seeds
from wmlib.runlog import RunLog
from wmlib.searchspace import SearchSpace
from wmlib.training import seed_of

QUIET = RunLog(quiet=True)


def small(**changes):
    settings = dict(
        generations=6, population=6, episodes=2, sigma=0.3, validate_every=2, validation_episodes=3,
        weight_decay=0.0, diagonal=True,
    )  # fmt: skip
    return EvolutionConfig(**(settings | changes))


def bowl(params, seeds):
    """A return with its top at 0.5 in the first three parameters, the same on every seed."""
    value = -(params[:, :3].double() - 0.5).square().sum(1).numpy()
    return np.repeat(value[:, None], np.shape(seeds)[-1], 1)


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

    evolve(config, space, bowl, validate, "dream", 1, QUIET)
    torch.testing.assert_close(seen[-1], space.params(oracle.mean[None])[0])


def test_it_climbs(controller, space):
    progress = evolve(small(generations=150, population=16), space, bowl, bowl, "dream", 1, QUIET)
    assert progress.best_score > -0.05 > bowl(torch.zeros(1, controller.size), [0])[0, 0]


def test_the_real_game_chooses_not_the_dream(space):
    scores = iter([[5.0] * 3, [9.0] * 3, [2.0] * 3, [7.0] * 3])
    kept = []

    def validate(params, seeds):
        assert list(seeds) == [VALIDATION_SEEDS + i for i in range(3)]
        kept.append(params[0])
        return np.array([next(scores)])

    progress = evolve(small(), space, bowl, validate, "dream", 1, QUIET)
    assert progress.validated == [(0, 5.0), (2, 9.0), (4, 2.0), (6, 7.0)]
    assert torch.equal(progress.best, kept[1])


@pytest.mark.parametrize("diagonal", [True, False])
def test_going_on_from_a_checkpoint_is_as_if_never_stopped(tmp_path, controller, diagonal):
    reduced = SearchSpace.predictive(
        controller, torch.zeros(controller.size), [torch.randn(400, 288)], components=4
    )
    config = small(diagonal=diagonal, average=3)
    whole = evolve(config, reduced, bowl, bowl, "dream", 1, QUIET)
    calls = 0

    def interrupted(params, seeds):
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt
        return bowl(params, seeds)

    path = tmp_path / "state.safetensors"
    with pytest.raises(KeyboardInterrupt):
        evolve(config, reduced, interrupted, bowl, "dream", 1, QUIET, path, "x")
    resumed = evolve(config, reduced, bowl, bowl, "dream", 1, QUIET, path, "x")
    np.testing.assert_array_equal(resumed.fitness, whole.fitness)
    assert resumed.validated == whole.validated
    assert torch.equal(resumed.best, whole.best)


def test_a_checkpoint_of_another_configuration_is_not_gone_on_with(tmp_path, space):
    path = tmp_path / "state.safetensors"
    evolve(small(generations=2), space, bowl, bowl, "dream", 1, QUIET, path, "one")
    other = evolve(small(generations=3), space, bowl, bowl, "dream", 1, QUIET, path, "two")
    assert len(other.fitness) == 3 and other.validated[0][0] == 0


def test_more_generations_go_on_and_fewer_begin_again(tmp_path, space):
    path = tmp_path / "state.safetensors"

    def run(generations, checkpoint=None):
        config = small(generations=generations, validate_every=2)
        return evolve(config, space, bowl, bowl, "dream", 1, QUIET, checkpoint, "same")

    run(2, path)
    for generations in (4, 2):
        resumed, straight = run(generations, path), run(generations)
        np.testing.assert_array_equal(resumed.fitness, straight.fitness)
        assert resumed.validated == straight.validated
        torch.testing.assert_close(resumed.best, straight.best, rtol=0, atol=0)


def test_weight_decay_counts_in_the_fitness(space):
    plain = evolve(small(generations=1), space, bowl, bowl, "dream", 1, QUIET)
    decayed = evolve(small(generations=1, weight_decay=300.0), space, bowl, bowl, "dream", 1, QUIET)
    cost = plain.fitness[0] - decayed.fitness[0]
    assert np.all(cost > 0) and cost.mean() == pytest.approx(300 * 0.3**2, rel=0.1)


def test_seeds_of_a_generation():
    common = generation_seeds(small(), "real", 1, 0)
    assert common.shape == (2,)
    assert generation_seeds(small(common=False), "real", 1, 0).shape == (6, 2)
    later = [generation_seeds(small(), "real", 1, g) for g in range(50)]
    assert max(np.max(s) for s in later) < VALIDATION_SEEDS
    assert len({tuple(s) for s in later}) == 50


@pytest.mark.parametrize("hidden", [0, 5])
def test_the_plain_space_is_the_parameters(task, hidden):
    controller = Controller(task, ControllerConfig(hidden=hidden))
    space = SearchSpace.plain(controller, torch.zeros(controller.size))
    x = np.random.default_rng(0).normal(size=(2, space.size))
    assert space.size == controller.size
    torch.testing.assert_close(space.params(x), torch.from_numpy(x).float())


@pytest.mark.parametrize("components", [0, 7])
def test_predictive_coordinates_weigh_standardised_combinations(controller, components):
    torch.manual_seed(1)
    features = torch.randn(2000, 288) @ torch.randn(288, 288) * 0.3 + torch.randn(288)
    origin = torch.zeros(controller.size)
    space = SearchSpace.predictive(controller, origin, [features[:900], features[900:]], components)
    scores = (features - features.mean(0)) @ space.basis
    torch.testing.assert_close(scores.std(0), torch.ones(scores.shape[1]), rtol=1e-2, atol=0)
    x = np.random.default_rng(0).normal(size=(1, space.size)) * 0.01
    assert space.size == (components or 288) * 3 + 3
    count = scores.shape[1]
    weight = torch.from_numpy(x[0, : count * 3]).float().view(count, 3)
    raw = scores[:5] @ weight + torch.from_numpy(x[0, -3:]).float()
    expected = torch.stack(
        [raw[:, 0].tanh(), (raw[:, 1].tanh() + 1) / 2, raw[:, 2].tanh().clamp(0, 1)], 1
    )
    actions = controller.act(space.params(x), features[None, :5])[0]
    torch.testing.assert_close(actions, expected, rtol=1e-3, atol=1e-3)


def test_the_search_starts_at_its_origin(controller):
    origin = torch.randn(controller.size)
    space = SearchSpace.predictive(controller, origin, [torch.randn(500, 288)], 4)
    torch.testing.assert_close(space.params(np.zeros((1, space.size)))[0], origin)


def test_predictive_coordinates_find_what_lasts_however_small_it_is(controller):
    """Loud noise that is gone the next frame, and a quiet wave that goes on, hidden in a rotation."""
    torch.manual_seed(2)
    t = torch.arange(3000.0)
    wave = 0.05 * torch.stack([torch.sin(t / 40), torch.cos(t / 25)], 1)
    features = torch.cat([torch.randn(3000, 286), wave], 1) @ torch.linalg.qr(torch.randn(288, 288))[0]
    space = SearchSpace.predictive(controller, torch.zeros(controller.size), [features], 2)
    found = torch.linalg.lstsq((features - space.mean) @ space.basis, wave).solution
    left = wave - (features - space.mean) @ space.basis @ found
    assert left.var() < 0.05 * wave.var()


def test_predictive_coordinates_need_an_episode_long_enough(controller):
    with pytest.raises(ValueError, match="longer than 10 frames"):
        SearchSpace.predictive(controller, torch.zeros(controller.size), [torch.randn(9, 288)], 2)


def test_advantageous_coordinates_are_what_tells_the_advantage(controller):
    """Two quiet directions among 288 tell what is better; one of them tells more."""
    torch.manual_seed(3)
    hidden = torch.randn(20_000, 288)
    features = hidden * torch.logspace(-1, 1, 288) + 5
    two = torch.stack([hidden[:, 7], hidden[:, 30]], 1)
    advantages = two @ torch.tensor([[1.0, -2.0, 3.0, 0.1], [0.0, 0.5, 0.1, 0.1]])
    advantages = advantages + 0.5 * torch.randn(20_000, 4)
    origin = torch.zeros(controller.size)
    space = SearchSpace.advantageous(controller, origin, features, advantages, 2)
    assert space.size == 2 * 3 + 3
    scores = (features - space.mean) @ space.basis
    torch.testing.assert_close(scores.std(0), torch.ones(2), rtol=1e-3, atol=0)
    correlation = torch.corrcoef(torch.cat([scores, two], 1).T)[:2, 2:].abs()
    assert correlation[0, 0] > 0.95 and correlation[1, 1] > 0.9
    # And plain algebra: what C adds to its actions is the weighted combinations, and nothing else.
    x = np.random.default_rng(0).normal(size=(1, space.size)) * 0.1
    weight, bias = torch.from_numpy(x[0, :6]).float().view(2, 3), torch.from_numpy(x[0, 6:]).float()
    steer = controller.act(space.params(x), features[None, :5])[0, :, 0]
    torch.testing.assert_close(steer, (scores[:5] @ weight + bias)[:, 0].tanh(), rtol=1e-3, atol=1e-3)


def test_there_are_at_most_as_many_advantageous_coordinates_as_advantages(controller):
    torch.manual_seed(3)
    features, told = torch.randn(500, 288), torch.randn(500, 4)
    for asked, there in ((0, 4), (3, 3), (9, 4)):
        space = SearchSpace.advantageous(controller, torch.zeros(controller.size), features, told, asked)
        assert space.basis.shape == (288, there)


def test_without_a_judge_the_last_mean_is_kept(space):
    config = small(average=2)
    progress = evolve(config, space, bowl, None, "dream", 1, QUIET)
    assert progress.validated == [] and len(progress.fitness) == config.generations
    start, end = (
        -bowl(p[None], np.zeros(1)).item()
        for p in (space.params(np.zeros((1, space.size)))[0], progress.best)
    )
    assert end < start
