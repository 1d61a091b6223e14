"""A film to step through: a slider, a play button and a picture."""

import ipywidgets
import numpy as np

from wmlib.widgets.access import Access
from wmlib.widgets.png import png


class Film(ipywidgets.VBox):
    """Frames (T, height, width, 3) uint8, one caption each.

    Moving the slider sets the picture's value and nothing else: no plotting, no printing, so that it
    works the same in every notebook front end.
    """

    def __init__(self, frames: np.ndarray, captions: list[str] | None = None, scale: int = 4):
        self.frames, self.scale = frames, scale
        self.captions = captions or [f"frame {t}" for t in range(len(frames))]
        last = len(frames) - 1
        self.slider = ipywidgets.IntSlider(0, 0, last, description="frame")
        self.play = ipywidgets.Play(min=0, max=last, interval=60)
        ipywidgets.jslink((self.play, "value"), (self.slider, "value"))
        self.picture = ipywidgets.Image(format="png", layout={"width": "fit-content"})
        self.caption, self.access = ipywidgets.Label(), Access()
        self.slider.observe(lambda change: self.show(change["new"]), "value")
        self.show(0)
        controls = ipywidgets.HBox([self.play, self.slider])
        super().__init__([controls, self.picture, self.caption, self.access])

    def show(self, t: int) -> None:
        """Put frame t on the screen."""
        self.picture.value = png(self.frames[t], self.scale)
        self.access.pictures = [self.captions[t]]
        self.caption.value = self.captions[t]
