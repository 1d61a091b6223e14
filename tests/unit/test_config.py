"""Configuration: what is wrong is named; what matters changes the digest."""

import dataclasses

import pytest

from wmlib.config import (
    CollectConfig,
    ConfigError,
    ControllerConfig,
    EvaluateConfig,
    EvolutionConfig,
    Machine,
    MDNRNNConfig,
    RoundsConfig,
    RunConfig,
    Task,
    VAEConfig,
    find_task,
)  # fmt: skip
from wmlib.profiles import PROFILES, find_profile


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: VAEConfig(steps=-1), r"VAEConfig\.steps is -1; it must be a whole number, 1 or more"),
        (lambda: VAEConfig(learning_rate=7.0), r"VAEConfig\.learning_rate is 7\.0"),
        (lambda: CollectConfig(episodes=0), r"CollectConfig\.episodes is 0"),
        (lambda: CollectConfig(first_seed=1_000_000), r"first_seed is 1000000; .* training seeds"),
        (lambda: CollectConfig(first_seed=999_999, episodes=2), r"999,998 or less"),
        (lambda: CollectConfig(policy="tired"), r"policy is 'tired'; it must be one of: brownian, held"),
        (lambda: Machine(backend="toy"), r"Machine\.backend .* one of: exact, envpool"),
        (
            lambda: EvolutionConfig(world="real", components=4, patience=5),
            "EvolutionConfig.patience is 5",
        ),
        (lambda: RoundsConfig(horizon=10), "RoundsConfig.horizon is 10"),
        (lambda: MDNRNNConfig(clip=0.0), r"MDNRNNConfig\.clip"),
        (lambda: EvolutionConfig(population=2), r"EvolutionConfig\.population is 2"),
        (lambda: EvolutionConfig(temperature=-1), r"EvolutionConfig\.temperature"),
        (lambda: EvaluateConfig(episodes=1), "anecdote"),
        (lambda: Machine(lanes=0), r"Machine\.lanes is 0"),
        (lambda: Task("x", action_size=0, z_size=1, hidden_size=1), r"Task\.action_size"),
        (lambda: RunConfig(task="chess"), "no task 'chess'; the tasks are: carracing"),
        (lambda: find_task("chess"), "carracing"),
        (lambda: find_profile("huge"), "smoke, laptop, paper"),
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
            "Machine.backend is 'envpool'; it must be exact: EnvPool has no takecover",
        ),
        (
            lambda: RunConfig(collect=CollectConfig(policy="uniform")),
            "CollectConfig.policy is 'uniform'; it must be brownian, held, white or driver in carracing",
        ),
        (lambda: VAEConfig(steps=2.5), r"VAEConfig\.steps is 2\.5"),
    ],
)
def test_a_bad_value_fails_at_once_naming_field_and_bound(make, message):
    with pytest.raises(ConfigError, match=message):
        make()


def test_a_stage_depends_on_itself_and_what_came_before_only():
    base = PROFILES["carracing"]["laptop"]
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


def test_the_papers_numbers():
    paper = PROFILES["carracing"]["paper"]
    assert (paper.real.population, paper.real.episodes, paper.real.generations) == (64, 16, 1800)
    assert (paper.real.sigma, paper.real.weight_decay) == (0.1, 0.01)
    assert (paper.collect.episodes, paper.vae.batch_size, paper.vae.learning_rate) == (10_000, 100, 1e-4)
    assert (paper.mdnrnn.sequence_length, paper.mdnrnn.learning_rate, paper.mdnrnn.clip) == (
        999,
        1e-3,
        1,
    )
    task = find_task("carracing")
    assert (task.z_size, task.hidden_size, task.mixtures, task.feature_size) == (32, 256, 5, 288)
