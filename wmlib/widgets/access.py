"""What keyboard and screen reader need, where ipywidgets doesn't give it."""

from pathlib import Path

import anywidget
import traitlets


class Access(anywidget.AnyWidget):
    """Stands unseen in a box, for those who don't use a mouse.

    ipywidgets shows a slider's label beside it, but doesn't tie the two together, and its Image knows no
    text of its own: a screen reader would say "slider" and "image". And JupyterLab takes the arrow keys
    away from a list of choices. Also, small pictures of the class wmlib-pixels are enlarged with sharp
    pixels. Where the browser can't load this widget, that is all that is missing.
    """

    _esm = Path(__file__).with_suffix(".js")
    _css = Path(__file__).with_suffix(".css")
    pictures = traitlets.List(traitlets.Unicode(), help="texts, in the order of the pictures").tag(
        sync=True
    )
