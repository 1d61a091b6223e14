"""The latent explorer: move the elements of z, and see what V paints."""

import ipywidgets
import numpy as np
import torch

from wmlib.measure.diagnostics import examine_vae
from wmlib.runtime.device import one_thread
from wmlib.vae import VAE, to_frames, to_images
from wmlib.widgets.access import Access
from wmlib.widgets.png import png

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
        self.vae, self.frames = vae, frames
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
        self.pictures = {
            name: ipywidgets.Image(format="png", layout={"width": "256px", "height": "256px"})
            for name in ("real", "painted", "difference")
        }
        for picture in self.pictures.values():
            picture.add_class("wmlib-pixels")
        self.caption, self.access = ipywidgets.Label(), Access()
        marks = [self._marks(i, float(kl[i])) for i in self.sliders]
        rows = [
            ipywidgets.HBox(pair, layout={"flex": "0 0 auto"})  # scrolled, not squeezed
            for pair in zip(self.sliders.values(), marks, strict=True)
        ]
        sliders = ipywidgets.VBox(rows, layout={"max_height": "290px", "overflow": "auto"})
        controls = ipywidgets.HBox([*buttons, self.walk])
        self._silent = False
        self.real_frame()
        pictures = ipywidgets.HBox(list(self.pictures.values()))
        super().__init__([controls, pictures, self.caption, sliders, self.access])

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
            0, min=-_REACH, max=_REACH, step=0.05, description=f"z[{i}]", readout_format="+.2f",
            layout={"width": "420px"},
        )  # fmt: skip
        slider.observe(lambda change: self._moved(i, change["new"]), "value")
        return slider

    def _button(self, text: str, tooltip: str, action) -> ipywidgets.Button:
        button = ipywidgets.Button(description=text, tooltip=tooltip, layout={"width": "7em"})
        button.on_click(lambda _: action())
        return button

    def _marks(self, i: int, kl: float) -> ipywidgets.HTML:
        """Where real frames have this element: its middle nine tenths, on the slider's scale."""
        low, middle, high = np.quantile(self.mu[:, i].numpy(), [0.05, 0.5, 0.95])
        x = [140 * (v + _REACH) / (2 * _REACH) for v in (low, middle, high)]
        text = f"real frames: {low:+.1f} to {high:+.1f}"
        return ipywidgets.HTML(
            f'<svg width="140" height="20" role="img" aria-label="{text}">'
            '<line x1="0" x2="140" y1="10" y2="10" stroke="#777777"/>'
            f'<rect x="{x[0]:.1f}" y="5" width="{max(x[2] - x[0], 1):.1f}" height="10" fill="#0072B2"/>'
            f'<rect x="{x[1] - 1:.1f}" y="3" width="2" height="14" fill="#E69F00"/></svg>'
            f" {text}; {kl:.1f} nats"
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
            painted = to_frames(self.vae.decode(self.z[None]))[0].numpy()
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
        self.caption.value = (
            f"left: real frame {which}{origin}; middle: what V paints from z; right: the difference, "
            f"three times as bright (squared error {error:.0f})"
        )
