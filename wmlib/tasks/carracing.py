"""CarRacing: a car on a track that it has never seen (paper, section 3)."""

import dataclasses
from collections.abc import Collection

import numpy as np
import torch
from torch import Tensor

from wmlib.config import (
    CollectConfig,
    Coordinates,
    DreamConfig,
    DreamSearch,
    EvaluateConfig,
    Machine,
    MDNRNNConfig,
    RealConfig,
    RefitConfig,
    RoundsConfig,
    RunConfig,
    VAEConfig,
    Validation,
)
from wmlib.data.explorers import BrownianPolicy, HeldPolicy, WhitePolicy
from wmlib.envs.games import GameSpec
from wmlib.task import Task

KEPT_ROWS = 84
"""Of the 96 rows of a frame; below them is the status bar (the paper's crop)."""


def to_action(raw: Tensor) -> Tensor:
    """C's raw outputs (..., 3) to steering, gas and brake (the paper's code)."""
    steer, gas, brake = raw.tanh().unbind(-1)
    # The brake is clipped, not shifted: a silent output must not drive with the brake half on.
    return torch.stack([steer, (gas + 1) / 2, brake.clamp(0, 1)], -1)


def temper(rng: np.random.Generator, size: int) -> tuple[list[float], list[float]]:
    """How an explorer drives: how much gas it gives, how often it brakes, how sharply it steers.

    From hardly steering to both ends of the wheel, and up to full gas: what no explorer has tried, M
    knows nothing of, and that is what C would do in its dream.
    """
    centre = [0.0, rng.uniform(0.0, 1.0), rng.uniform(-0.7, 0.15)]
    return centre, [10 ** rng.uniform(-1.4, 0.3), 0.3, 0.3]


class Hands:
    """The keys of a human driver. Steering follows them with some delay: full lock at once would spin
    the car."""

    def __init__(self):
        self.steering = 0.0

    def __call__(self, keys: Collection[str]) -> np.ndarray:
        wanted = 0.7 * (("right" in keys) - ("left" in keys))
        self.steering += float(np.clip(wanted - self.steering, -0.15, 0.15))
        return np.array([self.steering, 0.5 * ("up" in keys), 0.8 * ("down" in keys)], np.float32)


def smoke() -> RunConfig:
    """Every stage, as small as it can be and still run all the code: for tests, not for scores."""
    return RunConfig(
        collect=CollectConfig(episodes=4, horizon=60),
        vae=VAEConfig(steps=12, batch_size=32),
        mdnrnn=MDNRNNConfig(steps=12, batch_size=8, sequence_length=30),
        dream=DreamConfig(
            generations=4,
            population=8,
            episodes=2,
            horizon=40,
            diagonal=True,
            validation=Validation(every=2, episodes=2, horizon=40),
        ),
        rounds=RoundsConfig(
            rounds=2,
            games=4,
            components=4,
            horizon=40,
            patience=0,
            mdnrnn=MDNRNNConfig(steps=4, batch_size=8, sequence_length=30),
            dream=DreamSearch(generations=2, population=8, episodes=2, horizon=40),
        ),
        refit=RefitConfig(
            episodes=2,
            horizon=60,
            vae=VAEConfig(steps=4, batch_size=32, learning_rate=1e-3 / 3),
            mdnrnn=MDNRNNConfig(steps=4, batch_size=8, sequence_length=30),
        ),
        real=RealConfig(
            generations=2,
            population=4,
            episodes=1,
            horizon=30,
            coordinates=Coordinates("predictive", 4),
            validation=Validation(every=1, episodes=2, horizon=40),
        ),
        evaluate=EvaluateConfig(episodes=2, horizon=100),
        machine=Machine(lanes=4),
    )


def laptop() -> RunConfig:
    """The shipped agent, from nothing in less than two hours on two cores (with EnvPool)."""
    return RunConfig(
        # Many short games: an explorer leaves the road within a hundred frames or so, and then sees
        # nothing but grass.
        collect=CollectConfig(episodes=1000, horizon=200),
        # The paper's tolerance of half a nat leaves V with 8 active latents; twice as much, with 14.
        vae=VAEConfig(steps=3000, free_bits=1.0),
        mdnrnn=MDNRNNConfig(steps=500, batch_size=100, sequence_length=200),
        # Small steps and a decay of the weights, so that C stays near what M has seen done.
        dream=DreamConfig(
            generations=30,
            population=64,
            episodes=16,
            horizon=200,
            sigma=0.05,
            weight_decay=300.0,
            validation=Validation(every=6, episodes=16),
        ),
        # Ten rounds make a C that is slow and sure: it hardly crashes, and rarely ends a lap.
        rounds=RoundsConfig(rounds=10),
        real=RealConfig(
            generations=30,
            population=32,
            episodes=3,
            sigma=0.06,
            weight_decay=0.0,
            patience=80,
            average=3,
            coordinates=Coordinates("predictive", 24),
            validation=Validation(every=6, episodes=32),
        ),
    )


def overnight() -> RunConfig:
    """From nothing to a driver between evening and morning: at most eight hours on two cores."""
    return RunConfig(
        stages=("collect", "vae", "mdnrnn", "dream", "rounds", "refit", "real", "evaluate"),
        collect=CollectConfig(episodes=1000, horizon=200),
        vae=VAEConfig(steps=4000, free_bits=1.0),
        mdnrnn=MDNRNNConfig(steps=600, batch_size=100, sequence_length=200),
        # Thirty generations end where this dream's driver begins to climb. The tests choose.
        dream=dataclasses.replace(laptop().dream, generations=90),
        rounds=RoundsConfig(rounds=12, validation=Validation(episodes=16)),
        # V has hardly seen a bend at speed: two thirds of its batches are now a driver's frames.
        refit=RefitConfig(
            episodes=300,
            noise=0.1,
            share=0.67,
            vae=VAEConfig(steps=2500, learning_rate=5e-4, free_bits=1.0),
            mdnrnn=MDNRNNConfig(steps=400, learning_rate=5e-4),
        ),
        real=RealConfig(
            generations=100,
            population=64,
            episodes=2,
            sigma=0.06,
            weight_decay=0.0,
            patience=100,
            charge=True,
            average=5,
            coordinates=Coordinates("predictive", 32),
            validation=Validation(every=10, episodes=64),
        ),
        evaluate=EvaluateConfig(episodes=256),
        machine=Machine(backend="sketch"),
    )


def paper() -> RunConfig:
    """The paper's own numbers (section 3, and its code). On a laptop this takes months."""
    return RunConfig(
        stages=("collect", "vae", "mdnrnn", "dream", "real", "evaluate"),
        collect=CollectConfig(episodes=10_000, policy="held"),
        vae=VAEConfig(steps=1_000_000, learning_rate=1e-4, anneal=False, precision="float32"),
        mdnrnn=MDNRNNConfig(steps=4_000, sequence_length=999, anneal=False, precision="float32"),
        dream=DreamConfig(generations=1800, validation=Validation(every=25)),
        real=RealConfig(
            generations=1800, common=False, start="zero", validation=Validation(every=25, episodes=100)
        ),
    )


TASK = Task(
    name="carracing",
    actions={"steer": (-1.0, 1.0), "gas": (0.0, 1.0), "brake": (0.0, 1.0)},
    z_size=32,
    hidden_size=256,
    games={
        "exact": GameSpec("wmlib.envs.carracing:CarRacing", kept_rows=KEPT_ROWS),
        "stock": GameSpec("gymnasium.envs.box2d.car_racing:CarRacing", kept_rows=KEPT_ROWS),
        "sketch": GameSpec("wmlib.envs.sketch:CarSketch", kept_rows=KEPT_ROWS),
        "envpool": GameSpec(
            "wmlib.envs.envpool:EnvPoolGames", {"env_id": "CarRacing-v3"}, KEPT_ROWS, batched=True
        ),
    },
    to_action=to_action,
    temper=temper,
    explorers={"brownian": BrownianPolicy, "held": HeldPolicy, "white": WhitePolicy},
    keys={"left": "steer left", "up": "gas", "down": "brake", "right": "steer right"},
    hands=Hands,
    profiles={"smoke": smoke, "laptop": laptop, "overnight": overnight, "paper": paper},
)
