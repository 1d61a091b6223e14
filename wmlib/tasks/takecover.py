"""Doom's TakeCover: fireballs fly at you, and you can only step aside (paper, section 4)."""

import dataclasses
from collections.abc import Collection

import numpy as np

from wmlib.config import (
    CollectConfig,
    ControllerConfig,
    Coordinates,
    DreamConfig,
    EvaluateConfig,
    IterateConfig,
    Machine,
    MDNRNNConfig,
    RunConfig,
    VAEConfig,
    Validation,
)
from wmlib.data.explorers import FreshPolicy, StrafingPolicy, UniformPolicy
from wmlib.envs.games import GameSpec
from wmlib.task import Task

_STAGES = ("collect", "vae", "mdnrnn", "dream", "iterate", "evaluate")
"""C learns in dreams alone; and in better ones, once V and M have learned on from its own games."""
HORIZON = 2100
"""Tics after which a game is cut: a minute."""


class RunnerPolicy:
    """To and fro, 80 frames to the left and 80 to the right, whatever comes: the blind baseline.

    Hardly a fireball meets who is never where he was. To live longer than this, one has to look.
    """

    def __init__(self, task: Task, lanes: int):
        self.frames = np.zeros((lanes, task.action_size), int)  # since the game began

    def restart(self, lanes: np.ndarray, seeds: list[int], frames: np.ndarray) -> None:
        self.frames[lanes] = 0

    def act(self, active: np.ndarray, frames: np.ndarray) -> np.ndarray:
        actions = np.where(self.frames // 80 % 2, 1.0, -1.0)
        self.frames[active] += 1
        return actions.astype(np.float32)


class Hands:
    """The keys of a human player: a step to the side is at once."""

    def __call__(self, keys: Collection[str]) -> np.ndarray:
        return np.array([float("right" in keys) - float("left" in keys)], np.float32)


def smoke() -> RunConfig:
    """Every stage, as small as it can be and still run all the code: for tests, not for scores."""
    return RunConfig(
        task="takecover",
        stages=_STAGES,
        collect=CollectConfig(episodes=4, policy="uniform", horizon=60),
        vae=VAEConfig(steps=12, batch_size=32),
        mdnrnn=MDNRNNConfig(steps=12, batch_size=8, sequence_length=30),
        controller=ControllerConfig(bias=False),
        dream=DreamConfig(
            generations=4,
            population=8,
            episodes=2,
            horizon=60,
            diagonal=True,
            weight_decay=0.0,
            tau=1.15,
            end="sampled",
            coordinates=Coordinates("advantage"),
            validation=Validation(every=2, episodes=2, horizon=60),
        ),
        iterate=IterateConfig(
            episodes=3,
            horizon=60,
            share=0.6,
            vae=VAEConfig(steps=4, batch_size=32, learning_rate=1e-3 / 3),
            mdnrnn=MDNRNNConfig(steps=12, batch_size=8, sequence_length=30, done_weight=3.0),
            dream=DreamConfig(
                generations=4,
                population=8,
                episodes=2,
                horizon=60,
                diagonal=True,
                weight_decay=0.0,
                tau=1.15,
                end="sampled",
                start="previous",
                coordinates=Coordinates("advantage"),
                validation=Validation(every=2, episodes=2, horizon=60),
            ),
        ),
        evaluate=EvaluateConfig(episodes=2, horizon=60),
        machine=Machine(lanes=4),
    )


def laptop() -> RunConfig:
    """The shipped agent of Doom, from nothing in an hour and a half on two cores."""
    return RunConfig(
        task="takecover",
        stages=_STAGES,
        # Deaths are what M has too few of: it learns half as many by heart, and is then surprised by new
        # ones, most of all by an agent's, which come later in the game.
        collect=CollectConfig(episodes=3200, policy="strafing", horizon=HORIZON),
        # A fireball ten steps away is a few pixels wide. With the paper's half nat V leaves it out, with
        # one nat more often than not; and then hardly anything in the dream can hit.
        vae=VAEConfig(steps=6000, free_bits=2.0),
        mdnrnn=MDNRNNConfig(steps=3000, batch_size=50),
        controller=ControllerConfig(bias=False),
        # What C should do hangs on few of the 1,088 things it sees. CMA-ES finds them among the rest
        # only slowly, since a dream's length is mostly luck; M itself can tell them.
        dream=DreamConfig(
            generations=8,
            horizon=HORIZON,
            sigma=0.6,
            weight_decay=0.0,
            tau=1.5,
            end="sampled",
            precision="auto",
            coordinates=Coordinates("advantage"),
            validation=Validation(every=4, episodes=64, horizon=HORIZON),
        ),
        # The second time, V sees little that is new; but M has to learn long games, of which an end is a
        # far rarer step: so it weighs more. With fewer batches on C's games M stays too kind. They show
        # new combinations; in those C begins anew.
        iterate=IterateConfig(
            episodes=480,
            horizon=HORIZON,
            vae=VAEConfig(steps=1500, learning_rate=1e-3 / 3, free_bits=2.0),
            mdnrnn=MDNRNNConfig(steps=4500, batch_size=50, done_weight=3.0),
            dream=DreamConfig(
                generations=24,
                horizon=HORIZON,
                sigma=0.6,
                weight_decay=0.0,
                average=3,
                tau=1.5,
                end="sampled",
                precision="auto",
                coordinates=Coordinates("advantage"),
                validation=Validation(every=4, episodes=64, horizon=HORIZON),
            ),
        ),
        evaluate=EvaluateConfig(horizon=HORIZON),
    )


def overnight() -> RunConfig:
    """From nothing between evening and morning: at most eight hours on two cores."""
    plain = laptop()
    return dataclasses.replace(
        plain,
        # Twice as many of C's games, and so twice as many deaths to learn from. They are drawn twice as
        # often, too; so the odds of an end are put right afterwards: else the dream would be deadlier
        # than the game.
        iterate=dataclasses.replace(
            plain.iterate,
            episodes=900,
            share=0.6,
            vae=dataclasses.replace(plain.iterate.vae, steps=2500),
            mdnrnn=dataclasses.replace(plain.iterate.mdnrnn, steps=6500),
            ends=0.15,
            calibrate=True,
            # Every game begins in the same empty room, and most deaths come late. A dream that begins
            # amid a game is soon where it is hard.
            begin="anywhere",
            # The mean of 64 games has an error of 70 tics; of 256, half of that.
            dream=dataclasses.replace(
                plain.iterate.dream,
                generations=30,
                validation=Validation(every=6, episodes=256, horizon=HORIZON),
            ),
        ),
    )


def paper() -> RunConfig:
    """The paper's own numbers (section 4, and its code). On a laptop this takes months."""
    return RunConfig(
        task="takecover",
        stages=("collect", "vae", "mdnrnn", "dream", "evaluate"),
        collect=CollectConfig(episodes=10_000, policy="uniform", horizon=HORIZON),
        vae=VAEConfig(steps=1_000_000, learning_rate=1e-4, anneal=False, precision="float32"),
        mdnrnn=MDNRNNConfig(steps=4_000, sequence_length=500, anneal=False, precision="float32"),
        controller=ControllerConfig(bias=False),
        dream=DreamConfig(
            generations=1800, horizon=HORIZON, tau=1.15, validation=Validation(every=25, horizon=HORIZON)
        ),
        evaluate=EvaluateConfig(horizon=HORIZON),
    )


# It draws no status bar: all rows are kept.
_GAME = GameSpec("wmlib.envs.takecover:TakeCover", {"skill": 4, "resolution": "320x240"})

TASK = Task(
    name="takecover",
    actions={"step": (-1.0, 1.0)},
    z_size=64,
    hidden_size=512,
    horizon=HORIZON,
    sees_cell=True,
    predicts_reward=False,
    restart_input=True,
    symmetric=True,
    games={"exact": _GAME, "stock": _GAME},
    explorers={"uniform": UniformPolicy, "strafing": StrafingPolicy, "fresh": FreshPolicy},
    blind={"runner": RunnerPolicy},
    keys={"left": "step left", "right": "step right"},
    hands=Hands,
    profiles={"smoke": smoke, "laptop": laptop, "overnight": overnight, "paper": paper},
)
