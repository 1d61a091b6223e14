"""An agent to look at: the game beside its dream, as a GIF."""

from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from wmlib.agent import Agent
from wmlib.config import Machine
from wmlib.runtime.disk import ensure_writable, whole_file
from wmlib.worlds.record import Step

_GROUND = "#1b1f28"
"""Of the words: a GIF doesn't know on what it will lie, and this is seen well on white and on black."""


def show_side_by_side(
    agent: Agent, seed: int, steps: int, path: Path | None = None, tau: float = 1.0
) -> tuple[float, float]:
    """Play the real game and a dream for `steps` frames each, and write them as one GIF.

    Returns:
        the two returns: real, and dreamt (what M promised).

    Raises:
        ArtifactError: the path can't be written. That is tried before anything is played.
    """
    if path is not None:
        ensure_writable(path, "path")
    with agent.real(1, Machine(workers=1), steps) as real:
        game = agent.watch(real, seed)
    dream = agent.watch(agent.dream(1, steps, tau), seed)
    if path is not None:
        write_gif([_pair(a, b) for a, b in _aligned(game, dream)], path)
    return sum(step.reward for step in game), sum(step.reward for step in dream)


def _aligned(game: list[Step], dream: list[Step]) -> Iterator[tuple[Step, Step]]:
    """Both films to the end of the longer one; the shorter holds its last frame."""
    for i in range(max(len(game), len(dream))):
        yield game[min(i, len(game) - 1)], dream[min(i, len(dream) - 1)]


def _pair(game: Step, dream: Step, scale: int = 5) -> Image.Image:
    side, gap, bar = 64 * scale, 8, 30
    sheet = Image.new("RGB", (2 * side + gap, side + bar), _GROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(15)
    for left, name, step in ((0, "the game", game), (side + gap, "the dream", dream)):
        picture = Image.fromarray(step.frame).resize((side, side), Image.Resampling.NEAREST)
        sheet.paste(picture, (left, bar))
        draw.text((left + 10, bar / 2), name, fill="white", font=font, anchor="lm")
    return sheet


def write_gif(pictures: list[Image.Image], path: Path, seconds_per_frame: float = 0.04) -> None:
    """Write an animated GIF, whole or not at all.

    Raises:
        ValueError: there is no picture.
    """
    if not pictures:
        raise ValueError("there are no pictures: an animation needs one or more")
    with whole_file(path) as temporary:
        pictures[0].save(
            temporary,
            "GIF",
            save_all=True,
            append_images=pictures[1:],
            loop=0,
            duration=int(seconds_per_frame * 1000),
            optimize=False,
        )
