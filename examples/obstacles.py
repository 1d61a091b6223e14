"""A MiniGrid world, through the eyes of who walks in it: reach the green square, and don't bump.

    pip install minigrid -c constraints.txt
    python -m wmlib run --task examples/obstacles.py
    python -m wmlib evaluate --task examples/obstacles.py --policy fresh  # chance
    python -m wmlib evaluate --task examples/obstacles.py --policy blind  # the best that sees nothing

Why this one: it is a small package in plain Python under the MIT licence, and its picture is what the
walker sees, seven squares ahead and three to each side. So what is near lies always at the same place
of the picture, as the road before the car does, and a linear C can use it. (Pong's ball and Breakout's
are two pixels of V's picture.)
"""

from dataclasses import replace

from wmlib.config import (
    CollectConfig,
    ControllerConfig,
    DreamConfig,
    EvaluateConfig,
    IterateConfig,
    MDNRNNConfig,
    RunConfig,
    VAEConfig,
    Validation,
)
from wmlib.task import Task

STEPS = 144
"""After so many the world itself gives up."""


def make():
    """Balls roll about at random in a room of four by four. The goal pays 1, less what was dawdled away;
    a bump costs 1 and ends the game."""
    import gymnasium
    from minigrid.wrappers import RGBImgPartialObsWrapper

    room = gymnasium.make("minigrid:MiniGrid-Dynamic-Obstacles-Random-6x6-v0", disable_env_checker=True)
    return RGBImgPartialObsWrapper(room, tile_size=8)


def laptop():
    """From nothing in an hour on two cores."""
    # To hold one action says what it is worth to walk on, but not which way to turn: so all weights are
    # searched. What matters is in the picture, and z alone keeps them few.
    vae = VAEConfig(steps=4000, batch_size=50, free_bits=1.0)
    mdnrnn = MDNRNNConfig(steps=2000, batch_size=100, sequence_length=20, reward_weight=None)
    dream = DreamConfig(
        generations=150, population=64, episodes=32, horizon=60, sigma=0.3, weight_decay=0.0, average=3,
        end="sampled", precision="auto", validation=Validation(every=15, episodes=64, horizon=STEPS),
    )  # fmt: skip
    return RunConfig(
        task=TASK,
        stages=("collect", "vae", "mdnrnn", "dream", "iterate", "evaluate"),
        collect=CollectConfig(episodes=4000, horizon=40),
        vae=vae,
        mdnrnn=mdnrnn,
        controller=ControllerConfig(inputs="z"),
        dream=dream,
        # Few explorers come to the goal; C's own games do.
        iterate=IterateConfig(
            episodes=1500, horizon=60, calibrate=True,
            vae=replace(vae, steps=1000, learning_rate=3e-4),
            mdnrnn=replace(mdnrnn, steps=2000, learning_rate=5e-4),
            dream=dream,
        ),
        evaluate=EvaluateConfig(horizon=STEPS),
    )  # fmt: skip


TASK = Task(
    "obstacles",
    env=make,
    actions=("turn left", "turn right", "forward"),
    keys={"left": "turn left", "up": "forward", "right": "turn right"},
    horizon=STEPS,
    z_size=32,
    profiles={"laptop": laptop},
)
