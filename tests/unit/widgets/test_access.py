"""What the browser is given for those who don't use a mouse."""

import re
from pathlib import Path

import pytest
import traitlets

from wmlib.widgets import access
from wmlib.widgets.access import LOOK, Access, hint, whole_pixels

FILE = Path(access.__file__)


def test_the_browser_is_given_the_texts_and_our_own_script_and_style():
    state = Access(pictures=["one", "two"]).get_state()
    assert state["pictures"] == ["one", "two"]
    for key, file in (("_esm", FILE.with_suffix(".js")), ("_css", LOOK)):
        assert state[key] == file.read_text(encoding="utf-8")


def test_a_text_is_a_text():
    with pytest.raises(traitlets.TraitError):
        Access(pictures=["one", 2])


def test_the_script_reads_what_python_writes():
    """The names of the traits are the seam between the two languages."""
    script = FILE.with_suffix(".js").read_text(encoding="utf-8")
    asked_for = set(re.findall(r"""model\.get\(["'](\w+)["']\)""", script))
    assert asked_for == {"pictures"} and asked_for <= set(Access.class_trait_names(sync=True))


def test_a_hint_shows_its_keys_as_keys():
    shown = hint("[Tab] to the next, [←] [→] move it")
    assert re.findall("<kbd>(.*?)</kbd>", shown.value) == ["Tab", "←", "→"]
    assert "[" not in shown.value and "wmlib-hint" in shown.value


def css_width(text, room):
    """What a browser makes of it where so many pixels are to be had."""

    def down(least, step):
        return least - least % step

    text = text.replace("100cqi", str(room)).replace("px", "").replace("round(down, ", "down(")
    return eval(text, {"max": max, "min": min, "down": down})


@pytest.mark.parametrize(
    ("columns", "times", "pixels", "room", "expected"),
    [(1, 6, 64, 900, 384), (1, 6, 64, 300, 256), (3, 6, 64, 900, 256), (3, 6, 64, 1300, 384),
     (1, 6, 128, 600, 512), (6, 3, 64, 560, 128), (1, 6, 192, 180, 192)],
)  # fmt: skip
def test_pictures_take_the_room_there_is_in_whole_pixels(columns, times, pixels, room, expected):
    assert css_width(whole_pixels(columns, times, pixels), room) == expected


def test_the_look_knows_the_classes_that_python_gives():
    given = set()
    for file in FILE.parent.glob("*.py"):
        given |= set(re.findall(r'"(wmlib[a-z-]*)"', file.read_text(encoding="utf-8")))
    known = set(re.findall(r"\.(wmlib[a-z-]*)", LOOK.read_text(encoding="utf-8")))
    assert given == known and "wmlib" in given
