"""Configuration: what is wrong is named; what matters changes the digest."""

import dataclasses

import pytest

from wmlib.config import (
    STAGES,
    CollectConfig,
    ControllerConfig,
    Coordinates,
    DreamConfig,
    DreamSearch,
    EvaluateConfig,
    FidelityConfig,
    IterateConfig,
    Machine,
    MDNRNNConfig,
    RealConfig,
    RefitConfig,
    RoundsConfig,
    RunConfig,
    Search,
    TableConfig,
    VAEConfig,
    Validation,
    makers,
)
from wmlib.runtime.fields import ConfigError
from wmlib.task import find_profile


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAEConfig(steps=-1), r"VAEConfig\.steps is -1; it must be a whole number, 1 or more"),
        (lambda: VAEConfig(learning_rate=7.0), r"VAEConfig\.learning_rate is 7\.0"),
        (lambda: CollectConfig(episodes=0), r"CollectConfig\.episodes is 0"),
        (lambda: CollectConfig(first_seed=1_000_000), r"first_seed is 1000000; .* training seeds"),
        (lambda: CollectConfig(first_seed=999_999, episodes=2), r"999,998 or less"),
        (
            lambda: RunConfig(collect=CollectConfig(policy="tired")),
            "policy is 'tired'; it must be brownian, held, white or agent in carracing",
        ),
        (lambda: Machine(backend="toy"), r"Machine\.backend .* one of: exact, sketch, envpool"),
        (
            lambda: RealConfig(coordinates=Coordinates("predictive", 4), patience=5),
            "RealConfig.patience is 5",
        ),
        (
            lambda: RealConfig(coordinates=Coordinates("predictive", 4), horizon=19),
            "RealConfig.horizon is 19; it must be a whole number, 20 or more",
        ),
        (lambda: RoundsConfig(horizon=10), "RoundsConfig.horizon is 10"),
        (lambda: MDNRNNConfig(clip=0.0), r"MDNRNNConfig\.clip"),
        (lambda: RoundsConfig(components=0), r"RoundsConfig\.components is 0; .* or None for all"),
        (lambda: RoundsConfig(tau=0.01), r"RoundsConfig\.tau is 0\.01; it must be from 0\.05 to 10"),
        (lambda: Search(population=2), r"Search\.population is 2"),
        (lambda: DreamSearch(population=2), r"DreamSearch\.population is 2"),
        (lambda: DreamConfig(population=2), r"DreamConfig\.population is 2"),
        (lambda: RealConfig(population=2), r"RealConfig\.population is 2"),
        (lambda: Search(sigma=0.0), r"Search\.sigma is 0\.0; it must be from 1e-06 to 10"),
        (lambda: Search(average=0), r"Search\.average is 0; it must be a whole number, 1 or more"),
        (lambda: DreamConfig(tau=-1), r"DreamConfig\.tau"),
        (lambda: DreamConfig(tau=0.04), r"DreamConfig\.tau is 0\.04; it must be from 0\.05 to 10"),
        (lambda: DreamConfig(tau=10.1), r"DreamConfig\.tau is 10\.1; it must be from 0\.05 to 10"),
        (lambda: DreamSearch(end="late"), r"DreamSearch\.end is 'late'; .* one of: cutoff, sampled"),
        (lambda: DreamSearch(precision="float64"), r"DreamSearch\.precision .* auto, float32, bfloat16"),
        (lambda: RealConfig(start="there"), r"RealConfig\.start is 'there'; .* one of: zero, previous"),
        (
            lambda: Coordinates(kind="weights", count=3),
            r"Coordinates\.count is 3; it must be None where kind is weights",
        ),
        (lambda: Coordinates(kind="random"), r"Coordinates\.kind .* weights, predictive, advantage"),
        (lambda: Coordinates("predictive", 0), r"Coordinates\.count is 0; .* 1 or more, or None"),
        (lambda: Validation(episodes=1), r"Validation\.episodes is 1; .* whole number, 2 or more"),
        (lambda: Validation(every=0), r"Validation\.every is 0"),
        (lambda: IterateConfig(noise=1.5), r"IterateConfig\.noise is 1\.5; it must be from 0 to 1"),
        (lambda: TableConfig(taus=()), r"TableConfig\.taus is \(\); it must be one temperature or more"),
        (lambda: TableConfig(taus=(1.0, 11.0)), r"TableConfig\.taus is .*; it must be from 0\.05 to 10"),
        (
            lambda: TableConfig(episodes=1),
            r"TableConfig\.episodes is 1; .* a single game is an anecdote",
        ),
        (lambda: TableConfig(first_seed=-1), r"TableConfig\.first_seed is -1"),
        (lambda: FidelityConfig(taus=()), r"FidelityConfig\.taus is \(\); .* one temperature or more"),
        (lambda: FidelityConfig(taus=(0.01,)), r"FidelityConfig\.taus is .*; it must be from 0\.05"),
        (lambda: FidelityConfig(tau=11), r"FidelityConfig\.tau is 11; it must be from 0\.05 to 10"),
        (
            lambda: FidelityConfig(controllers=1),
            r"FidelityConfig\.controllers .*: one alone has no order",
        ),
        (lambda: FidelityConfig(episodes=1), r"FidelityConfig\.episodes is 1; .* number, 2 or more"),
        (lambda: EvaluateConfig(episodes=1), "anecdote"),
        (
            lambda: EvaluateConfig(first_seed=10**30),
            r"EvaluateConfig\.first_seed is 1000000000000000000",
        ),
        (
            lambda: EvaluateConfig(first_seed=2**31 - 2, episodes=3),
            r"the last of 3 2,147,483,647 or less",
        ),
        (lambda: TableConfig(first_seed=2**31), r"TableConfig\.first_seed .* 2,147,483,647 or less"),
        (lambda: RunConfig(seed=2**63), r"RunConfig\.seed is 9223372036854775808"),
        (lambda: RunConfig(seed=-1), r"RunConfig\.seed is -1"),
        (lambda: Validation(episodes=500_001), r"Validation\.episodes .* 500,000 or less: .* set apart"),
        (lambda: IterateConfig(episodes=250_001), r"IterateConfig\.episodes .* 250,000 or less"),
        (lambda: RefitConfig(episodes=250_001), r"RefitConfig\.episodes .* 250,000 or less"),
        (lambda: RealConfig(strategy="pairs", population=7), "it must be even: it is made of pairs"),
        (lambda: RealConfig(strategy="pairs", hard=1), "it must be 0 where pairs have tracks of"),
        (lambda: RealConfig(hard=1, episodes=1), "it must be less than episodes"),
        (lambda: FidelityConfig(episodes=500_001), r"FidelityConfig\.episodes .* 500,000 or less"),
        (lambda: Machine(lanes=0), r"Machine\.lanes is 0"),
        (lambda: RunConfig(task="chess"), "no task 'chess'; the tasks are: carracing"),
        (lambda: RunConfig(stages=("collect", "vae", "vae")), r"RunConfig\.stages .* each once"),
        (lambda: RunConfig(stages=("vae", "collect")), r"RunConfig\.stages .* in this order"),
        (lambda: RunConfig(stages=("collect", "fly")), r"RunConfig\.stages"),
        (lambda: RunConfig(stages=("collect", "mdnrnn")), "such that vae comes before mdnrnn"),
        (
            lambda: RunConfig(stages=("collect", "vae", "mdnrnn", "real")),
            "start is 'previous'; it must be zero in the first stage that evolves C",
        ),
        (lambda: RunConfig(evaluate=EvaluateConfig(first_seed=5)), "a reporting seed"),
        (
            lambda: RunConfig(machine=Machine(backend="envpool"), collect=CollectConfig(horizon=1001)),
            "CollectConfig.horizon is 1001; it must be 1000 or less",
        ),
        (
            lambda: dataclasses.replace(
                find_profile("smoke", "takecover"), machine=Machine(backend="envpool")
            ),
            "Machine.backend is 'envpool'; it must be exact: takecover has no other",
        ),
        (
            lambda: RunConfig(collect=CollectConfig(policy="uniform")),
            "CollectConfig.policy is 'uniform'; it must be brownian, held, white or agent in carracing",
        ),
        (lambda: VAEConfig(steps=2.5), r"VAEConfig\.steps is 2\.5"),
    ],
)
def test_a_bad_value_fails_at_once_naming_field_and_bound(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def counts_in(config, place=()):
    """Every field, of this object and of those in it, that holds a number of things."""
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if dataclasses.is_dataclass(value):
            yield from counts_in(value, (*place, field.name))
        elif "int" in str(field.type) and "seed" not in field.name:
            yield (*place, field.name)


def with_value(config, place, value):
    name, *rest = place
    if rest:
        value = with_value(getattr(config, name), rest, value)
    return dataclasses.replace(config, **{name: value})


@pytest.mark.parametrize("kind", [RunConfig, TableConfig, FidelityConfig])
def test_no_count_is_beyond_what_a_machine_can_bear(kind):
    places = list(counts_in(kind()))
    assert ("collect", "episodes") in places or ("episodes",) in places
    for place in places:
        with pytest.raises(ConfigError, match=rf"{place[-1]} is 1000000000000; .* or less"):
            with_value(kind(), place, 10**12)


def test_a_stage_depends_on_itself_and_what_came_before_only():
    base = find_profile("laptop")
    later = dataclasses.replace(base, real=dataclasses.replace(base.real, sigma=0.07))
    assert later.stage_hash("vae") == base.stage_hash("vae")
    assert later.stage_hash("dream") == base.stage_hash("dream")
    assert later.stage_hash("real") != base.stage_hash("real")
    assert later.stage_hash("evaluate") != base.stage_hash("evaluate")
    assert dataclasses.replace(base, seed=2).stage_hash("collect") != base.stage_hash("collect")
    blind = dataclasses.replace(base, controller=ControllerConfig(inputs="z"))
    assert blind.stage_hash("mdnrnn") == base.stage_hash("mdnrnn")
    assert blind.stage_hash("dream") != base.stage_hash("dream")
    wider = dataclasses.replace(base, machine=Machine(lanes=8, workers=1))
    assert wider.stage_hash("evaluate") == base.stage_hash("evaluate")


def test_more_than_its_own_stage_changes_no_digest_before_it():
    base = find_profile("laptop", "takecover")
    colder = dataclasses.replace(base, dream=dataclasses.replace(base.dream, tau=1.0))
    assert colder.stage_hash("mdnrnn") == base.stage_hash("mdnrnn")
    assert colder.stage_hash("dream") != base.stage_hash("dream")
    for nested in (
        {"coordinates": Coordinates("advantage", 3)},
        {"validation": Validation(every=4, episodes=65, horizon=2100)},
    ):
        other = dataclasses.replace(base, dream=dataclasses.replace(base.dream, **nested))
        assert other.stage_hash("dream") != base.stage_hash("dream"), nested


def test_iterates_own_games_have_seeds_of_their_own():
    base = find_profile("smoke", "takecover")
    for first, fits in ((500_000 - 4, True), (500_000 - 3, False)):
        collect = dataclasses.replace(base.collect, first_seed=first)
        if fits:
            dataclasses.replace(base, collect=collect)
            continue
        with pytest.raises(ConfigError, match="such that all seeds stay below 500,000: C plays"):
            dataclasses.replace(base, collect=collect)


def test_a_stage_says_what_comes_before_it_and_what_it_makes():
    config = RunConfig()
    assert config.stages_before("dream") == ("collect", "vae", "mdnrnn")
    with pytest.raises(ConfigError, match="the stage iterate is not one of this run's: collect vae"):
        config.stages_before("iterate")
    assert makers("controller") == ("dream", "iterate", "rounds", "refit", "real")
    assert makers("vae") == makers("dream_starts") == ("vae", "iterate", "refit")
    assert {need for stage in STAGES.values() for need in stage.needs} <= STAGES.keys()
    assert all(hasattr(config, name) for name in STAGES)


def test_no_more_is_open_than_there_is_to_do():
    assert Machine(workers=8, lanes=3).worker_count == 3
    assert Machine(workers=2, lanes=3).worker_count == 2


def test_as_many_workers_as_there_are_cores_for_us(monkeypatch):
    monkeypatch.setattr("wmlib.config.core_count", lambda: 5)
    assert Machine().worker_count == 5
    assert Machine(workers=9).worker_count == 9
    assert Machine(lanes=3).lanes_for(2) == 2 and Machine(lanes=3).lanes_for(9) == 3
