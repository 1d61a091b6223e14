"""A film to step through: a slider, a play button and a picture."""

import ipywidgets
import numpy as np

from wmlib.widgets.access import Access, classed, hint, whole_pixels
from wmlib.widgets.png import png


class Film(ipywidgets.VBox):
    """Frames (T, height, width, 3) uint8, one or more, with a caption each.

    Moving the slider sets the picture's value and nothing else: no plotting, no printing, so that it
    works the same in every notebook front end.

    Args:
        scale: how many times as large they are shown at most.

    Raises:
        ValueError: there is no frame, or there are more captions than frames, or fewer.
    """

    def __init__(self, frames: np.ndarray, captions: list[str] | None = None, scale: int = 6):
        self.frames = frames
        if not len(frames):
            raise ValueError("there are no frames: a film needs one or more")
        self.captions = [f"frame {t}" for t in range(len(frames))] if captions is None else captions
        if len(self.captions) != len(frames):
            raise ValueError(f"{len(frames)} frames and {len(self.captions)} captions: each needs one")
        last = len(frames) - 1
        self.slider = ipywidgets.IntSlider(0, 0, last, description="frame")
        self.play = ipywidgets.Play(min=0, max=last, interval=60)
        ipywidgets.jslink((self.play, "value"), (self.slider, "value"))
        width = whole_pixels(times=scale, pixels=frames.shape[2])
        self.picture = ipywidgets.Image(format="png", layout={"width": width})
        self.caption, self.access = ipywidgets.Label(), Access()
        self.slider.observe(lambda change: self.show(change["new"]), "value")
        self.show(0)
        figure = ipywidgets.VBox([self.picture, self.caption])
        super().__init__(
            [
                classed(ipywidgets.HBox([self.play, self.slider]), "wmlib-bar"),
                classed(figure, "wmlib-figure"),
                hint("[Tab] to the slider, [←] [→] move it frame by frame."),
                self.access,
            ]
        )
        classed(self, "wmlib")

    def show(self, t: int) -> None:
        """Put frame t on the screen."""
        self.picture.value = png(self.frames[t], 1)
        self.access.pictures = [self.captions[t]]
        self.caption.value = self.captions[t]
