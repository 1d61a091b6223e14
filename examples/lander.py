"""LunarLander-v3 through its pictures: a game that is installed, in a file of a few lines.

    python -m wmlib run --task examples/lander.py                      # engines, on or off
    python -m wmlib run --task examples/lander.py:CONTINUOUS           # throttles
    python -m wmlib evaluate --task examples/lander.py --policy fresh  # chance
    python -m wmlib evaluate --task examples/lander.py --policy blind  # the best that sees nothing

Gymnasium calls a mean of 200 points solved. Its observation is eight exact numbers; here none of them
is seen. V is given the middle two thirds of the picture, in which the lander is nine pixels wide, legs
included.
"""

from dataclasses import replace

from wmlib.config import (
    CollectConfig,
    Coordinates,
    DreamConfig,
    EvaluateConfig,
    IterateConfig,
    MDNRNNConfig,
    RunConfig,
    VAEConfig,
    Validation,
)
from wmlib.task import Task

ENGINES = ("nothing", "left engine", "main engine", "right engine")


def laptop():
    """From nothing in two hours on two cores."""
    # With the paper's half nat V may leave out what is so small.
    vae = VAEConfig(steps=6000, batch_size=50, free_bits=2.0)
    mdnrnn = MDNRNNConfig(steps=2500, batch_size=50, sequence_length=100, reward_weight=None)
    dream = DreamConfig(
        generations=60, population=64, episodes=8, horizon=500, sigma=0.5, weight_decay=0.0, average=3,
        end="sampled", precision="auto", coordinates=Coordinates("advantage"),
        validation=Validation(every=6, episodes=32, horizon=500),
    )  # fmt: skip
    return RunConfig(
        task=TASK,
        stages=("collect", "vae", "mdnrnn", "dream", "iterate", "evaluate"),
        collect=CollectConfig(episodes=2000, horizon=500),
        vae=vae,
        mdnrnn=mdnrnn,
        dream=dream,
        # Explorers fall. What it is to hover, C's own games show.
        iterate=IterateConfig(
            episodes=600, horizon=500, share=0.6, calibrate=True,
            vae=replace(vae, steps=2000, learning_rate=3e-4),
            mdnrnn=replace(mdnrnn, steps=2500, learning_rate=5e-4),
            dream=dream,
        ),
        evaluate=EvaluateConfig(horizon=500),
    )  # fmt: skip


def laptop_continuous():
    """The same, for throttles."""
    return replace(laptop(), task=CONTINUOUS)


TASK = Task(
    "lander",
    env="LunarLander-v3",
    actions=ENGINES,
    keys={"left": "left engine", "up": "main engine", "right": "right engine"},
    frame_skip=2,
    region=(0, 400, 100, 500),
    z_size=32,
    hidden_size=256,
    profiles={"laptop": laptop},
)
CONTINUOUS = replace(
    TASK,
    name="lander-continuous",
    options={"continuous": True},
    actions=("main throttle", "side throttle"),
    keys={"left": "side throttle -", "up": "main throttle +", "right": "side throttle +"},
    profiles={"laptop": laptop_continuous},
)
