"""The latent explorer: move the elements of z, and see what V paints."""

import ipywidgets
import numpy as np
import torch

from wmlib.measure.diagnostics import examine_vae
from wmlib.runtime.device import one_thread
from wmlib.vae import VAE, to_frames, to_images
from wmlib.widgets.access import Access, classed, hint, whole_pixels
from wmlib.widgets.png import png
from wmlib.worlds.painting import Painter

_REACH = 4.0
"""The sliders go from minus this to plus this; z is about standard normal."""


class LatentExplorer(ipywidgets.VBox):
    """Sliders for the elements of z, the most active first, and the picture that V paints from them.

    Decoding takes milliseconds, and while it lasts ipywidgets keeps only a slider's newest value: so the
    picture follows the hand.

    Args:
        frames: real frames (n, 64, 64, 3) uint8, to start from, and to know how far each element moves.

    Raises:
        ValueError: there are fewer than two frames.
    """

    def __init__(self, vae: VAE, frames: np.ndarray, seed: int = 0):
        if len(frames) < 2:
            raise ValueError(f"frames holds {len(frames)}; to walk from one to another takes 2 or more")
        self.vae, self.frames, self.painter = vae, frames, Painter(vae)
        with torch.inference_mode():
            images = to_images(torch.from_numpy(frames))
            self.mu = torch.cat([vae.encode(part)[0] for part in images.split(64)])  # (n, Z)
        kl = examine_vae(vae, frames).kl
        self.order = np.argsort(-kl)
        self.rng = np.random.default_rng(seed)
        self.sliders = {int(i): self._slider(int(i)) for i in self.order}
        self.walk = ipywidgets.FloatSlider(
            0, min=0, max=1, step=0.01, description="walk", readout_format=".2f",
            tooltip="from one real frame to another, in a straight line through z",
        )  # fmt: skip
        self.walk.observe(lambda _: self._walked(), "value")
        buttons = [
            self._button("real frame", "encode a real frame, drawn at random", self.real_frame),
            self._button("back", "z of that frame again", lambda: self.set(self.mu[self.here])),
            self._button("all zero", "z = 0, the middle of the prior", self.zero),
            self._button("random z", "a z drawn from the prior, the standard normal", self.random),
        ]
        buttons[0].button_style = "primary"
        names = ("real", "painted", "difference")
        self.pictures = {
            name: ipywidgets.Image(format="png", layout={"width": whole_pixels(3)}) for name in names
        }
        self.captions, self.access = {name: ipywidgets.Label() for name in names}, Access()
        shown = [
            classed(ipywidgets.VBox([self.captions[name], self.pictures[name]]), "wmlib-figure")
            for name in names
        ]
        rows = [
            classed(ipywidgets.HBox([slider, self._marks(i, float(kl[i]))]), "wmlib-z")
            for i, slider in self.sliders.items()
        ]
        for row in rows:
            row.layout.flex = "0 0 auto"  # scrolled, not squeezed
        sliders = ipywidgets.VBox(rows, layout={"max_height": "330px", "overflow": "auto"})
        keys = hint(
            "[Tab] to the next slider, [←] [→] move it, [Home] [End] to its ends. The bar behind a "
            "slider is where nine of ten real frames have this element, its tick their middle; on the "
            "right, how much the element says of a frame, in nats."
        )
        self._silent = False
        self.real_frame()
        super().__init__(
            [
                classed(ipywidgets.HBox([*buttons, self.walk]), "wmlib-bar"),
                classed(ipywidgets.HBox(shown), "wmlib-pictures"),
                classed(sliders, "wmlib-zs"),
                keys,
                self.access,
            ]
        )
        classed(self, "wmlib")

    # What the buttons do

    def real_frame(self) -> None:
        """z of a real frame; and another frame to walk to."""
        self.here, self.there = self.rng.choice(len(self.frames), 2, replace=False)
        self.set(self.mu[self.here])

    def zero(self) -> None:
        self.set(torch.zeros(self.vae.z_size), invented=True)

    def random(self) -> None:
        z = torch.from_numpy(self.rng.standard_normal(self.vae.z_size)).float()
        self.set(z, invented=True)

    def set(self, z: torch.Tensor, walked: float = 0.0, invented: bool = False) -> None:
        """Put all of z, (Z,), on the sliders, and paint it. invented: it comes from no frame."""
        self.z, self.invented = z.clone(), invented
        self._silent = True  # one picture, not one for each slider
        for i, slider in self.sliders.items():
            slider.value = float(z[i].clamp(-_REACH, _REACH))
        self.walk.value = walked
        self._silent = False
        self._paint()

    # How it is done

    def _slider(self, i: int) -> ipywidgets.FloatSlider:
        slider = ipywidgets.FloatSlider(
            0, min=-_REACH, max=_REACH, step=0.05, description=f"z[{i}]", readout_format="+.2f"
        )  # fmt: skip
        slider.observe(lambda change: self._moved(i, change["new"]), "value")
        return slider

    def _button(self, text: str, tooltip: str, action) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, tooltip=tooltip)
        button.on_click(lambda _: action())
        return button

    def _marks(self, i: int, kl: float) -> ipywidgets.HTML:
        """Where real frames have this element: its middle nine tenths, on the slider's scale."""
        low, middle, high = np.quantile(self.mu[:, i].numpy(), [0.05, 0.5, 0.95]).clip(-_REACH, _REACH)
        text = f"real frames: {low:+.1f} to {high:+.1f}"
        low, middle, high = (100 * (v + _REACH) / (2 * _REACH) for v in (low, middle, high))
        return ipywidgets.HTML(
            f'<span title="{text}"><svg width="140" height="12" viewBox="0 0 100 12" role="img" '
            f'aria-label="{text}" preserveAspectRatio="none">'
            f'<rect x="{low:.1f}" y="0" width="{max(high - low, 1):.1f}" height="12" rx="1.5"/>'
            f'<rect x="{middle - 0.4:.1f}" y="0" width="0.8" height="12"/></svg>'
            f'<span class="words"> {text}; </span>{kl:.1f} nats</span>'
        )

    def _moved(self, i: int, value: float) -> None:
        if not self._silent:
            self.z[i] = value
            self._paint()

    def _walked(self) -> None:
        if not self._silent:
            t = self.walk.value
            self.set((1 - t) * self.mu[self.here] + t * self.mu[self.there], walked=t)

    @torch.inference_mode()
    def _paint(self) -> None:
        which = self.here if self.walk.value < 0.5 else self.there
        with one_thread():
            painted = to_frames(self.painter.decode(self.z[None]))[0].numpy()
        real = self.frames[which]
        difference = np.abs(real.astype(int) - painted)
        bright = (3 * difference).clip(0, 255).astype(np.uint8)
        for name, frame in (("real", real), ("painted", painted), ("difference", bright)):
            self.pictures[name].value = png(frame, 1)  # small, to be there soon
        self.access.pictures = [
            f"real frame {which}", "what V paints from z", "how far the two differ, pixel by pixel"
        ]  # fmt: skip
        error = float(np.square(difference / 255.0).sum())
        origin = ", from which this z does not come" if self.invented else ""
        self.captions["real"].value = f"real frame {which}{origin}"
        self.captions["painted"].value = "what V paints from z"
        self.captions["difference"].value = f"difference, tripled; squared error {error:.0f}"
