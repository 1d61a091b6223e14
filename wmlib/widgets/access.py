"""How our things look, and what keyboard and screen reader need, where ipywidgets doesn't give it."""

from pathlib import Path

import anywidget
import ipywidgets
import traitlets

LOOK = Path(__file__).with_name("look.css")
"""The style of all our things to touch. It holds for what has the class wmlib."""


class Access(anywidget.AnyWidget):
    """Stands unseen in a box, and gives it our look, and names for those who don't use a mouse.

    ipywidgets shows a slider's label beside it, but doesn't tie the two together, and its Image knows no
    text of its own: a screen reader would say "slider" and "image". And JupyterLab takes the arrow keys
    away from a list of choices. Where the browser can't load this widget, that is all that is missing.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = LOOK
    pictures = traitlets.List(traitlets.Unicode(), help="texts, in the order of the pictures").tag(
        sync=True
    )

    def __init__(self, **traits):
        super().__init__(**traits)
        self.add_class("wmlib-unseen")


def classed(widget: ipywidgets.DOMWidget, *names: str) -> ipywidgets.DOMWidget:
    """The widget, with classes by which `look.css` knows it."""
    for name in names:
        widget.add_class(name)
    return widget


def hint(text: str) -> ipywidgets.HTML:
    """A quiet line that says where the keys are. Words in [brackets] are shown as keys."""
    keys = text.replace("[", "<kbd>").replace("]", "</kbd>")
    return classed(ipywidgets.HTML(f'<span class="wmlib-hint">{keys}</span>'), "wmlib-hint")


def whole_pixels(columns: int = 1, times: int = 6, pixels: int = 64) -> str:
    """CSS: how wide one of so many pictures in a row is, each of `pixels` pixels a line.

    They take what room there is, up to so many times their size, and only whole multiples of it: then
    all their pixels are alike.
    """
    room = f"(100cqi - {12 * (columns - 1)}px) / {columns}"
    least = pixels if columns == 1 else 2 * pixels  # rather a second row of pictures than tiny ones
    return f"max({least}px, round(down, min({room}, {times * pixels}px), {pixels}px))"
