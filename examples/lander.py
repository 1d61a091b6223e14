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
    DreamSearch,
    EvaluateConfig,
    IterateConfig,
    MDNRNNConfig,
    RoundsConfig,
    RunConfig,
    VAEConfig,
    Validation,
)
from wmlib.task import Task

ENGINES = ("nothing", "left engine", "main engine", "right engine")


def laptop():
    """From nothing in two hours on two cores."""
    # With the paper's half nat V may leave out what is so small.
    vae = VAEConfig(steps=4500, batch_size=50, free_bits=2.0)
    mdnrnn = MDNRNNConfig(steps=2500, batch_size=50, sequence_length=100, reward_weight=None)
    tests = Validation(every=8, episodes=32, horizon=500)
    # Explorers fall within fifty frames. Far beyond that, M's first dream would be made up.
    dream = DreamConfig(
        generations=48, population=64, episodes=8, horizon=120, sigma=0.5, weight_decay=0.0, average=3,
        end="sampled", precision="auto", coordinates=Coordinates("advantage"), validation=tests,
    )  # fmt: skip
    return RunConfig(
        task=TASK,
        stages=("collect", "vae", "mdnrnn", "dream", "iterate", "rounds", "evaluate"),
        collect=CollectConfig(episodes=2000, horizon=500),
        vae=vae,
        mdnrnn=mdnrnn,
        dream=dream,
        # What it is to hover and to come down gently, C's own games show, better each round.
        iterate=IterateConfig(
            episodes=500, horizon=500, share=0.6, calibrate=True,
            vae=replace(vae, steps=1500, learning_rate=3e-4),
            mdnrnn=replace(mdnrnn, steps=2000, learning_rate=5e-4),
            dream=replace(dream, horizon=200),
        ),
        rounds=RoundsConfig(
            rounds=6, games=64, horizon=500, patience=0, margin=10,
            mdnrnn=replace(mdnrnn, steps=300, learning_rate=5e-4),
            dream=DreamSearch(
                generations=12, population=64, episodes=8, horizon=200, sigma=0.05, weight_decay=0.0,
                average=3, end="sampled", precision="auto",
            ),
            validation=tests,
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
