"""CarRacing drawn coarsely: the same physics, tracks and rewards, and nearly the same frame, but faster.

The exact game draws each frame on a sheet of 1000 x 800 with smooth edges, and shrinks it. `CarSketch`
draws the same polygons on a sheet of three times the frame's size, with hard edges, and shrinks that.
The difference that is left is a small part of what V itself loses. A track is the very track that it is
in the exact game, and so is every step on it. To train on; scores are the exact game's.
"""

import functools

import numpy as np
import pygame
from gymnasium.envs.box2d import car_dynamics, car_racing

from wmlib.envs.carracing import FRAME_HEIGHT, FRAME_WIDTH, VIEW, Camera, CarRacing, Scene, wheel_stripe

_SHARP = 3  # pixels drawn for each pixel of the frame, along each side
_SIZE = np.array([_SHARP * FRAME_WIDTH, _SHARP * FRAME_HEIGHT])
_SCALE = _SIZE / VIEW.size  # from the exact game's sheet to ours


class CarSketch(CarRacing):
    """The exact game's `CarRacing`, with a coarser pencil. Observations are (84, 96, 3) uint8.

    Args:
        grass: what each wheel on the grass costs in each frame. The game itself asks nothing for that,
            but it is where spins begin.
    """

    def __init__(self, render_mode: str | None = None, grass: float = 0.0):
        super().__init__(render_mode=render_mode)
        self.grass = grass

    def step(self, action: np.ndarray):
        seen, reward, *rest = super().step(action)
        if self.grass:
            reward -= self.grass * sum(not wheel.tiles for wheel in self.car.wheels)
        return seen, reward, *rest

    def _render(self, mode: str):
        if mode != "state_pixels" or not self.draws:
            return super()._render(mode)
        if self._scene is None:
            self._scene = _SketchScene(self)
        sheet = _sheet()
        self._scene.draw(sheet)
        small = pygame.transform.smoothscale(sheet, (FRAME_WIDTH, FRAME_HEIGHT))
        upright = pygame.image.tobytes(small, "RGB", True)
        return np.frombuffer(upright, np.uint8).reshape(FRAME_HEIGHT, FRAME_WIDTH, 3)


@functools.cache
def _sheet() -> pygame.Surface:
    """Every frame is drawn from scratch, so all games of a process share one sheet."""
    return pygame.Surface(_SIZE.tolist())


class _SketchScene(Scene):
    """Draws the scene on the small sheet."""

    def __init__(self, env: car_racing.CarRacing):
        super().__init__(env)
        self.car = [
            (body, np.array(fixture.shape.vertices), [int(c * 255) for c in body.color])
            for body in env.car.drawlist
            for fixture in body.fixtures
        ]

    def draw(self, canvas: pygame.Surface) -> None:
        camera = self.camera()
        self._draw_field(canvas, camera)
        near = self.near(camera)
        pixels = _to_sheet(camera.project(self.corners[near]))  # (near, 4, 2)
        seen = ((pixels.max(1) >= 0) & (pixels.min(1) <= _SIZE)).all(1)
        colours = self.colours[near[seen]].astype(int).tolist()
        for polygon, colour in zip(pixels[seen].tolist(), colours, strict=True):
            pygame.draw.polygon(canvas, colour, polygon)
        self._draw_car(canvas, camera)

    def _draw_field(self, canvas: pygame.Surface, camera: Camera) -> None:
        edge = car_racing.PLAYFIELD
        green = self.env.bg_color.tolist()
        if camera.everything_within(edge):
            canvas.fill(green)
            return
        canvas.fill((0, 0, 0))
        corners = np.array([[edge, edge], [edge, -edge], [-edge, -edge], [-edge, edge]], float)
        pygame.draw.polygon(canvas, green, _to_sheet(camera.project(corners)).tolist())

    def _draw_car(self, canvas: pygame.Surface, camera: Camera) -> None:
        shapes, colours = [], []
        for body, shape, colour in self.car:
            turn, at = body.transform.q, body.transform.position
            turned = np.array([[turn.c, turn.s], [-turn.s, turn.c]])
            shapes.append(shape @ turned + at.tuple)
            colours.append(colour)
            if "phase" in body.__dict__ and (stripe := wheel_stripe(body.phase)):
                shapes.append(np.array(stripe) @ turned + at.tuple)
                colours.append(car_dynamics.WHEEL_WHITE)
        pixels, end = _to_sheet(camera.project(np.concatenate(shapes))).tolist(), 0
        for shape, colour in zip(shapes, colours, strict=True):
            start, end = end, end + len(shape)
            pygame.draw.polygon(canvas, colour, pixels[start:end])


def _to_sheet(pixels: np.ndarray) -> np.ndarray:
    """Where the exact game's pixels (..., 2) lie on our sheet."""
    return (pixels - VIEW.topleft) * _SCALE
