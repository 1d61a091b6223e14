"""CarRacing-v3 with its drawing made fast, and not one bit changed.

Gymnasium's class spends almost all of its time on drawing: it rotates about 800 polygons in Python
for every frame, though some 55 are in view, and then draws a status bar which the paper crops away.
`CarRacing` keeps the physics, the tracks, the rewards and the ends as they are. It replaces only the
frame that the agent sees, and returns rows 0:84 of it, the paper's crop (section 3).

What is different inside, and why the pixels are the same:

- All corners are rotated at once in numpy, in double precision like `pygame.math.Vector2`, and
  polygons whose bounding box lies outside the picture are left out.
- The status bar, which hides rows 84:96, is not drawn.
- `pygame.transform.smoothscale` averages along x first and along y afterwards. We let it do the x
  step on the upright picture, flip the small result, and let it do the y step then. Flipping
  rows commutes with averaging along them. 700 rows scaled to 84 have the same ratio as 800 to 96.

`tests/unit/envs/test_carracing.py` compares frames, rewards and ends with the stock class.
"""

import functools

import gymnasium as gym
import numpy as np
import pygame
from gymnasium.envs.box2d import car_dynamics, car_racing
from pygame import gfxdraw

FRAME_HEIGHT, FRAME_WIDTH = 84, 96
"""The part of the 96x96 frame that is left when the status bar is cropped."""

_HIDDEN_ROWS = car_racing.WINDOW_H * (car_racing.STATE_H - FRAME_HEIGHT) // car_racing.STATE_H
VIEW = pygame.Rect(0, _HIDDEN_ROWS, car_racing.WINDOW_W, car_racing.WINDOW_H - _HIDDEN_ROWS)
_MARGIN = 2  # pixels: an anti-aliased edge reaches one pixel beyond its corners


class CarRacing(car_racing.CarRacing):
    """The exact, fast game. Observations are (84, 96, 3) uint8; `render()` gives the stock frames."""

    def __init__(self, render_mode: str | None = None):
        super().__init__(render_mode=render_mode)
        self.observation_space = gym.spaces.Box(0, 255, (FRAME_HEIGHT, FRAME_WIDTH, 3), np.uint8)
        self._scene: Scene | None = None
        self.draws = True  # False to play a game again, fast and blind

    def reset(self, *, seed: int | None = None, options: dict | None = None):
        self._scene = None  # the new track is known only once the base class has made it
        return super().reset(seed=seed, options=options)

    def _render(self, mode: str):
        if mode != "state_pixels":
            return super()._render(mode)
        if not self.draws:
            return None
        if self._scene is None:
            self._scene = Scene(self)
        canvas = _canvas()
        self._scene.draw(canvas)
        narrow = pygame.transform.smoothscale(canvas.subsurface(VIEW), (FRAME_WIDTH, VIEW.height))
        upright = pygame.transform.flip(narrow, False, True)
        frame = pygame.transform.smoothscale(upright, (FRAME_WIDTH, FRAME_HEIGHT))
        return pygame.surfarray.array3d(frame).transpose(1, 0, 2)


@functools.cache
def _canvas() -> pygame.Surface:
    """Every frame is drawn from scratch, so all games of a process share one sheet: it stays in cache.

    It has no clip rectangle: SDL moves the ends of a clipped anti-aliased edge, and its pixels too.
    """
    return pygame.Surface((car_racing.WINDOW_W, car_racing.WINDOW_H))


class Scene:
    """What one track and one car look like, held as arrays of corners."""

    def __init__(self, env: car_racing.CarRacing):
        self.env = env
        road_corners = np.array([corners for corners, _ in env.road_poly], np.float64)
        self.corners = np.concatenate([_grass_corners(), road_corners])  # (polygons, 4, 2)
        self.centres = self.corners.mean(1)
        self.radius = np.linalg.norm(self.corners - self.centres[:, None], axis=2).max(1)
        self.colours = np.empty((len(self.corners), 3))
        self.colours[: -len(road_corners)] = env.grass_color
        # A tile's colour changes in place when a wheel touches it. The tiles, and the list that
        # the stock class draws from, are made to share our table's memory: all stay right.
        first_road = len(self.corners) - len(road_corners)
        tile_colours = {id(tile.color): tile for tile in env.road}
        for number, (corners, colour) in enumerate(env.road_poly):
            row = first_road + number
            self.colours[row] = colour
            if tile := tile_colours.get(id(colour)):
                tile.color = self.colours[row]
                env.road_poly[number] = corners, tile.color
        self.car_parts = _CarParts(env.car)

    def draw(self, canvas: pygame.Surface) -> None:
        camera = self.camera()
        self._draw_field(canvas, camera)
        near = self.near(camera)
        pixels = camera.project(self.corners[near])  # (near, 4, 2)
        low, high = pixels.min(1), pixels.max(1)
        seen = (
            (high[:, 0] >= VIEW.left - _MARGIN)
            & (low[:, 0] <= VIEW.right + _MARGIN)
            & (high[:, 1] >= VIEW.top - _MARGIN)
            & (low[:, 1] <= VIEW.bottom + _MARGIN)
        )
        colours = self.colours[near[seen]].astype(int).tolist()
        for polygon, colour in zip(pixels[seen].tolist(), colours, strict=True):
            gfxdraw.aapolygon(canvas, polygon, colour)
            gfxdraw.filled_polygon(canvas, polygon, colour)
        self.car_parts.draw(canvas, camera)

    def camera(self) -> "Camera":
        """How the game is looked at now."""
        env = self.env
        zoom = 0.1 * car_racing.SCALE * max(1 - env.t, 0) + (
            car_racing.ZOOM * car_racing.SCALE * min(env.t, 1)
        )
        angle = -env.car.hull.angle
        car_x, car_y = env.car.hull.position
        shift = pygame.math.Vector2(-car_x * zoom, -car_y * zoom).rotate_rad(angle)
        shift = (car_racing.WINDOW_W / 2 + shift[0], car_racing.WINDOW_H / 4 + shift[1])
        return Camera(zoom, angle, shift)

    def near(self, camera: "Camera") -> np.ndarray:
        """The polygons that may be in view: none farther from the car than the picture's farthest
        corner."""
        reach = np.hypot(car_racing.WINDOW_W / 2, car_racing.WINDOW_H * 3 / 4) / camera.zoom
        car_x, car_y = self.env.car.hull.position
        dx, dy = self.centres[:, 0] - car_x, self.centres[:, 1] - car_y
        return np.flatnonzero(dx * dx + dy * dy <= (self.radius + reach + 1) ** 2)

    def _draw_field(self, canvas: pygame.Surface, camera: "Camera") -> None:
        """The playfield. Where it fills the whole picture, one fill does the same, faster."""
        edge = car_racing.PLAYFIELD
        corners = np.array([[edge, edge], [edge, -edge], [-edge, -edge], [-edge, edge]])
        if camera.everything_within(edge):
            canvas.fill(self.env.bg_color.tolist(), VIEW)
            return
        canvas.fill((0, 0, 0))
        polygon = camera.project(corners).tolist()
        gfxdraw.aapolygon(canvas, polygon, self.env.bg_color)
        gfxdraw.filled_polygon(canvas, polygon, self.env.bg_color)


class Camera:
    """From the game's metres to the canvas's pixels (not yet flipped), as the stock class does it."""

    def __init__(self, zoom: float, angle: float, shift: tuple[float, float]):
        # Vector2 itself turns (1, 0), so that its treatment of right angles is ours too.
        self.cos, self.sin = pygame.math.Vector2(1.0, 0.0).rotate_rad(angle)
        self.zoom, self.shift = zoom, shift

    def project(self, points: np.ndarray) -> np.ndarray:
        """(..., 2) metres to (..., 2) pixels, both float64."""
        x, y = points[..., 0], points[..., 1]
        pixels = np.empty(points.shape)
        pixels[..., 0] = (self.cos * x - self.sin * y) * self.zoom + self.shift[0]
        pixels[..., 1] = (self.sin * x + self.cos * y) * self.zoom + self.shift[1]
        return pixels

    def everything_within(self, edge: float) -> bool:
        """Whether all of the view lies in the square |x|, |y| < edge (metres), with a margin."""
        limit = edge - 2 * _MARGIN / self.zoom
        for px in (VIEW.left, VIEW.right):
            for py in (VIEW.top, VIEW.bottom):
                u = (px - self.shift[0]) / self.zoom
                v = (py - self.shift[1]) / self.zoom
                x, y = self.cos * u + self.sin * v, self.cos * v - self.sin * u
                if abs(x) > limit or abs(y) > limit:
                    return False
        return True


class _CarParts:
    """The polygons of wheels and hull. Box2D rebuilds a shape's corners at each look: read them once."""

    def __init__(self, car: car_dynamics.Car):
        self.parts = []
        for body in car.drawlist:
            colour = [int(c * 255) for c in body.color]
            for fixture in body.fixtures:
                self.parts.append((body, fixture.shape.vertices, colour))

    def draw(self, canvas: pygame.Surface, camera: Camera) -> None:
        polygons, counts, colours = [], [], []

        def add(body, corners, colour):
            transform = body.transform
            polygons.extend((transform * corner).tuple for corner in corners)
            counts.append(len(corners))
            colours.append(colour)

        for body, corners, colour in self.parts:
            add(body, corners, colour)
            if "phase" in body.__dict__ and (stripe := wheel_stripe(body.phase)):
                add(body, stripe, car_dynamics.WHEEL_WHITE)
        pixels = camera.project(np.array(polygons)).tolist()
        start = 0
        for count, colour in zip(counts, colours, strict=True):
            pygame.draw.polygon(canvas, color=colour, points=pixels[start : start + count])
            start += count


def wheel_stripe(phase: float) -> list[tuple[float, float]] | None:
    """The grey band on a rolling wheel, in the wheel's own metres; None while it is underneath."""
    sin_1, sin_2 = np.sin(phase), np.sin(phase + 1.2)
    if sin_1 > 0 and sin_2 > 0:
        return None
    cos_1, cos_2 = np.cos(phase), np.cos(phase + 1.2)
    if sin_1 > 0:
        cos_1 = np.sign(cos_1)
    if sin_2 > 0:
        cos_2 = np.sign(cos_2)
    half_width = car_dynamics.WHEEL_W * car_dynamics.SIZE
    front = float(car_dynamics.WHEEL_R * cos_1 * car_dynamics.SIZE)
    back = float(car_dynamics.WHEEL_R * cos_2 * car_dynamics.SIZE)
    return [(-half_width, front), (half_width, front), (half_width, back), (-half_width, back)]


def _grass_corners() -> np.ndarray:
    """The lighter squares of the meadow, (400, 4, 2) in metres."""
    side = car_racing.GRASS_DIM
    steps = range(-20, 20, 2)
    return np.array(
        [
            [
                (side * x + side, side * y + 0),
                (side * x + 0, side * y + 0),
                (side * x + 0, side * y + side),
                (side * x + side, side * y + side),
            ]
            for x in steps
            for y in steps
        ]
    )
