"""An agent to look at: the game beside its dream, frame by frame."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from wmlib.agent import Agent
from wmlib.artifacts import whole_file
from wmlib.worlds import DreamWorld, RealWorld, World


@dataclass(frozen=True)
class Moment:
    """One step of one world: frame (64, 64, 3) uint8 (what V saw, or what V paints of a dream), the
    action that was then taken (A,), and what the step earned."""

    frame: np.ndarray
    action: np.ndarray
    reward: float


@torch.inference_mode()
def watch(agent: Agent, world: World, seed: int, steps: int) -> Iterator[Moment]:
    """The agent in a world of one lane, until its end or for `steps` steps."""
    features, _ = world.reset(seed=[seed])
    for _ in range(steps):
        frame = world.pictures()[0]
        action = agent.controller.act(agent.params[None], features[None])[0]  # (1, A)
        features, rewards, terminated, truncated, _ = world.step(action)
        yield Moment(frame, action[0].numpy(), float(rewards[0]))
        if terminated[0] or truncated[0]:
            return


def show_side_by_side(
    agent: Agent, seed: int, steps: int, path: Path | None = None, temperature: float = 1.0
) -> tuple[float, float]:
    """Play the real game and a dream for `steps` frames each, and write them as one GIF.

    Returns:
        the two returns: real, and dreamt (what M promised).
    """
    with RealWorld(agent.vae, agent.mdnrnn, lanes=1, workers=1, horizon=steps) as real:
        game = list(watch(agent, real, seed, steps))
    dream_world = DreamWorld(agent.mdnrnn, agent.starts, 1, steps, temperature, painter=agent.vae)
    dream = list(watch(agent, dream_world, seed, steps))
    if path is not None:
        write_gif([_pair(a, b) for a, b in _aligned(game, dream)], path)
    return sum(m.reward for m in game), sum(m.reward for m in dream)


def _aligned(game: list[Moment], dream: list[Moment]) -> Iterator[tuple[Moment, Moment]]:
    """Both films to the end of the longer one; the shorter holds its last frame."""
    for i in range(max(len(game), len(dream))):
        yield game[min(i, len(game) - 1)], dream[min(i, len(dream) - 1)]


def _pair(game: Moment, dream: Moment, scale: int = 3) -> Image.Image:
    side, bar = 64 * scale, 16
    sheet = Image.new("RGB", (2 * side + 6, side + bar), "white")
    draw = ImageDraw.Draw(sheet)
    for left, name, moment in ((0, "real game", game), (side + 6, "M's dream", dream)):
        picture = Image.fromarray(moment.frame).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(picture, (left, bar))
        draw.text((left + 4, 2), name, fill="black")
    return sheet


def write_gif(pictures: list[Image.Image], path: Path, seconds_per_frame: float = 0.04) -> None:
    """Write an animated GIF, whole or not at all."""
    with whole_file(path) as temporary:
        pictures[0].save(
            temporary, "GIF", save_all=True, append_images=pictures[1:], loop=0,
            duration=int(seconds_per_frame * 1000), optimize=False,
        )  # fmt: skip
