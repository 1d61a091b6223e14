"""The game beside its dream, of an agent whose games are known."""

import contextlib

import numpy as np
import pytest
from PIL import Image

from wmlib.runtime.disk import ArtifactError
from wmlib.widgets.side_by_side import show_side_by_side, write_gif
from wmlib.worlds import Step


def film(shades, rewards):
    """Frames of one shade of grey each."""
    return [
        Step(np.full((64, 64, 3), shade, np.uint8), np.zeros(3, np.float32), reward)
        for shade, reward in zip(shades, rewards, strict=True)
    ]


class Films:
    """In the game it lives for three steps, in its dream for one."""

    def __init__(self):
        self.opened = []

    def real(self, games, machine, horizon):
        self.opened.append(("game", games, horizon))
        return contextlib.nullcontext("game")

    def dream(self, lanes, horizon, tau):
        self.opened.append(("dream", lanes, horizon, tau))
        return "dream"

    def watch(self, world, seed):
        assert seed == 7
        return film([0, 80, 160], [1.0, -0.5, 3.0]) if world == "game" else film([240], [2.0])


def test_both_films_are_shown_to_the_end_of_the_longer_one(tmp_path):
    agent, path = Films(), tmp_path / "x.gif"
    assert show_side_by_side(agent, 7, 3, path, tau=0.8) == (3.5, 2.0)
    assert agent.opened == [("game", 1, 3), ("dream", 1, 3, 0.8)]
    picture = Image.open(path)
    assert picture.n_frames == 3
    for t, shade in enumerate((0, 80, 160)):
        picture.seek(t)
        sheet = np.asarray(picture.convert("RGB"))
        assert sheet.shape == (64 * 5 + 30, 2 * 64 * 5 + 8, 3)
        assert sheet[100, 100].tolist() == [shade] * 3  # the game on the left
        assert sheet[100, -100].tolist() == [240] * 3  # the dream, which holds its last frame


def test_a_path_that_can_not_be_written_is_refused_before_anything_is_played(tmp_path):
    agent = Films()
    with pytest.raises(ArtifactError, match="is a folder, not a file; choose another path"):
        show_side_by_side(agent, 7, 3, tmp_path)
    assert not agent.opened


def test_without_a_path_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert show_side_by_side(Films(), 7, 3) == (3.5, 2.0)
    assert not list(tmp_path.iterdir())


def test_a_gif_repeats_itself_at_the_speed_that_was_asked_for(tmp_path):
    pictures = [Image.new("RGB", (4, 4), (shade, 0, 0)) for shade in (0, 100, 200)]
    write_gif(pictures, tmp_path / "x.gif", seconds_per_frame=0.12)
    gif = Image.open(tmp_path / "x.gif")
    assert (gif.n_frames, gif.info["duration"], gif.info["loop"]) == (3, 120, 0)


def test_a_gif_is_whole_or_is_not_there(tmp_path):
    broken = [Image.new("RGB", (4, 4)), "no picture"]
    with pytest.raises(AttributeError):
        write_gif(broken, tmp_path / "x.gif")
    assert not list(tmp_path.iterdir())


def test_without_pictures_there_is_no_gif(tmp_path):
    with pytest.raises(ValueError, match=r"^there are no pictures: an animation needs one or more$"):
        write_gif([], tmp_path / "x.gif")
    assert not list(tmp_path.iterdir())
