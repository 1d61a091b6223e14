"""Profiles: every number of a run, for each task and each amount of time. No code asks which it is."""

import dataclasses

from wmlib.config import (
    CollectConfig,
    ConfigError,
    EvaluateConfig,
    EvolutionConfig,
    IterateConfig,
    Machine,
    MDNRNNConfig,
    RoundsConfig,
    RunConfig,
    VAEConfig,
    find_task,
)


def _smoke() -> RunConfig:
    """Every stage, as small as it can be and still run all the code: for tests, not for scores."""
    return RunConfig(
        collect=CollectConfig(episodes=4, horizon=60),
        vae=VAEConfig(steps=12, batch_size=32),
        mdnrnn=MDNRNNConfig(steps=12, batch_size=8, sequence_length=30),
        dream=EvolutionConfig(
            generations=4, population=8, episodes=2, horizon=40, validate_every=2,
            validation_episodes=2, validation_horizon=40, diagonal=True,
        ),
        rounds=RoundsConfig(
            rounds=2, games=4, components=4, horizon=40, patience=0,
            mdnrnn=MDNRNNConfig(steps=4, batch_size=8, sequence_length=30),
            dream=EvolutionConfig(generations=2, population=8, episodes=2, horizon=40),
        ),
        real=EvolutionConfig(
            world="real", start="previous", generations=2, population=4, episodes=1, horizon=30,
            validate_every=1, validation_episodes=2, validation_horizon=40,
            components=4,
        ),
        evaluate=EvaluateConfig(episodes=2, horizon=100),
        machine=Machine(lanes=4),
    )  # fmt: skip


def _laptop() -> RunConfig:
    """The shipped agent, from nothing in less than two hours on two cores (with EnvPool)."""
    return RunConfig(
        # Many short games: an explorer leaves the road within a hundred frames or so, and then sees
        # nothing but grass.
        collect=CollectConfig(episodes=1000, horizon=200),
        # The paper's tolerance of half a nat leaves V with 8 active latents; twice as much, with 14.
        vae=VAEConfig(steps=3000, free_bits=1.0),
        mdnrnn=MDNRNNConfig(steps=500, batch_size=100, sequence_length=200),
        # Small steps and a decay of the weights, so that C stays near what M has seen done.
        dream=EvolutionConfig(
            generations=30, population=64, episodes=16, horizon=200, sigma=0.05, weight_decay=300.0,
            validate_every=6, validation_episodes=16,
        ),
        # Ten rounds make a driver that is slow and sure: it hardly crashes, and rarely ends a lap.
        rounds=RoundsConfig(rounds=10),
        real=EvolutionConfig(
            world="real", start="previous", generations=30, population=32, episodes=3, components=24,
            sigma=0.06, weight_decay=0.0, patience=80, average=3, validate_every=6,
            validation_episodes=32,
        ),
    )  # fmt: skip


def _paper() -> RunConfig:
    """The paper's own numbers (section 3, and its code). On a laptop this takes months."""
    return RunConfig(
        stages=("collect", "vae", "mdnrnn", "dream", "real", "evaluate"),
        collect=CollectConfig(episodes=10_000, policy="held"),
        vae=VAEConfig(steps=1_000_000, learning_rate=1e-4, anneal=False, precision="float32"),
        mdnrnn=MDNRNNConfig(steps=4_000, sequence_length=999, anneal=False, precision="float32"),
        dream=EvolutionConfig(generations=1800, validate_every=25),
        real=EvolutionConfig(
            world="real", generations=1800, common=False, validate_every=25,
            validation_episodes=100,
        ),
    )  # fmt: skip


def _of_doom(config: RunConfig, horizon: int = 2100, **parts: dict[str, object]) -> RunConfig:
    """The same effort in TakeCover. C has no bias, and learns in M's dream alone (section 4).

    parts: of the configuration, and what else changes in them.
    """
    every: dict[str, dict[str, object]] = {
        "collect": {"policy": "uniform", "horizon": horizon},
        "controller": {"bias": False},
        "dream": {"horizon": horizon, "temperature": 1.15, "validation_horizon": horizon},
        "evaluate": {"horizon": horizon},
    }
    every = {name: every.get(name, {}) | parts.get(name, {}) for name in every.keys() | parts.keys()}
    changed = {
        name: dataclasses.replace(getattr(config, name), **changes) for name, changes in every.items()
    }
    stages = ("collect", "vae", "mdnrnn", "dream", "iterate", "evaluate")
    config = dataclasses.replace(config, task="takecover", **changed)
    # The second time, all goes on from what was learned. V sees little that is new; but M has to learn
    # long games, of which an end is a far rarer step: so it weighs more.
    v, m = config.vae, config.mdnrnn
    iterate = IterateConfig(
        episodes=max(3, config.collect.episodes * 3 // 10), horizon=horizon, share=0.6,
        vae=dataclasses.replace(v, steps=max(4, v.steps // 4), learning_rate=v.learning_rate / 3),
        mdnrnn=dataclasses.replace(m, done_weight=3.0),
        dream=dataclasses.replace(config.dream, start="previous"),
    )  # fmt: skip
    return dataclasses.replace(config, stages=stages, iterate=iterate)


# What C should do in Doom hangs on few of the 1,088 things it sees. CMA-ES finds them among the rest
# only slowly, since a dream's length is mostly luck; M itself can tell them.
_DOOM_SEARCH = {"components": 0, "directions": "advantage", "weight_decay": 0.0, "end": "sampled"}


def _doom_laptop() -> RunConfig:
    """The shipped agent of Doom, from nothing in an hour and a half on two cores."""
    config = _of_doom(
        _laptop(),
        # Deaths are what M has too few of: it learns half as many by heart, and is then surprised by new
        # ones, most of all by an agent's, which come later in the game.
        collect={"episodes": 3200, "policy": "strafing"},
        # A fireball ten steps away is a few pixels wide. With the paper's half nat V leaves it out, with
        # one nat more often than not; and then hardly anything in the dream can hit.
        vae={"steps": 6000, "free_bits": 2.0},
        mdnrnn={"steps": 3000, "batch_size": 50},
        dream={
            **_DOOM_SEARCH,
            "generations": 8,
            "sigma": 0.6,
            "temperature": 1.5,
            "precision": "auto",
            "validate_every": 4,
            "validation_episodes": 64,
        },
    )
    # With fewer batches on C's games M stays too kind. They show new combinations; in those C begins
    # anew.
    iterate = dataclasses.replace(
        config.iterate, episodes=480, share=0.5,
        mdnrnn=dataclasses.replace(config.iterate.mdnrnn, steps=4500),
        dream=dataclasses.replace(config.dream, generations=24, average=3, validate_every=4),
    )  # fmt: skip
    return dataclasses.replace(config, iterate=iterate)


def _doom_paper() -> RunConfig:
    """The paper's own numbers (section 4, and its code)."""
    config = _of_doom(_paper(), mdnrnn={"sequence_length": 500})
    return dataclasses.replace(config, stages=("collect", "vae", "mdnrnn", "dream", "evaluate"))


TAUS = (0.1, 0.5, 1.0, 1.15, 1.3)
"""Temperatures of the paper's table."""
PROFILES = {
    "carracing": {"smoke": _smoke(), "laptop": _laptop(), "paper": _paper()},
    "takecover": {
        "smoke": _of_doom(_smoke(), horizon=60, dream=_DOOM_SEARCH),
        "laptop": _doom_laptop(),
        "paper": _doom_paper(),
    },
}
PAPERS_DREAM = dataclasses.replace(_doom_paper().dream, generations=16, precision="auto")
"""How C learns in the temperature table: the paper's way, all 1,088 weights from zero and the end cut
off, in few of its generations."""


def find_profile(name: str, task: str = "carracing") -> RunConfig:
    find_task(task)
    if name not in PROFILES[task]:
        raise ConfigError(f"there is no profile {name!r}; the profiles are: {', '.join(PROFILES[task])}")
    return PROFILES[task][name]
