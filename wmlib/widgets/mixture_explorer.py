"""The mixture explorer: what M expects next, beside what came."""

import ipywidgets
import numpy as np
import torch

from wmlib.data.episodes import EpisodeStore
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN, Prediction, sample_mixture
from wmlib.runtime.device import one_thread
from wmlib.vae import VAE, kl_per_latent, to_frames
from wmlib.widgets.access import Access, classed, hint, whole_pixels
from wmlib.widgets.chart import mixture_chart
from wmlib.widgets.png import png
from wmlib.worlds.moments import memories
from wmlib.worlds.painting import Painter


class MixtureExplorer(ipywidgets.VBox):
    """For a moment of a recorded episode: M's mixture for an element of the next z, and next frames that
    are drawn from it.

    Args:
        data, store: the episodes, encoded and as they were recorded.
        episode: the number of the episode in them.
        samples: next frames that are drawn and painted.
    """

    def __init__(
        self,
        vae: VAE,
        mdnrnn: MDNRNN,
        data: Sequences,
        store: EpisodeStore,
        episode: int = 0,
        samples: int = 4,
    ):
        self.painter, self.samples = Painter(vae), samples
        self.frames = np.array(store.frames(store.seeds[episode]))
        z, h = memories(mdnrnn, data, episode)
        self.z = z  # (T + 1, Z)
        with torch.inference_mode():
            self.prediction = mdnrnn.predict(h[1:])  # of z[1:], (T, Z, K) each
        activity = kl_per_latent(data.mu, data.logvar).mean(0)
        order = activity.argsort(descending=True).tolist()
        self.t = ipywidgets.IntSlider(min(60, len(z) - 2), 0, len(z) - 2, description="frame")
        self.latent = ipywidgets.Dropdown(
            options=[(f"z[{i}], {activity[i]:.1f} nats", i) for i in order], description="element"
        )
        self.tau = ipywidgets.FloatSlider(
            1.0, min=0.1, max=2.0, step=0.05, description="τ", tooltip="temperature"
        )
        self.again = ipywidgets.Button(
            description="draw again", tooltip="other samples", button_style="primary"
        )
        self.draw = 0
        self.again.on_click(lambda _: self.draw_again())
        for control in (self.t, self.latent, self.tau):
            control.observe(lambda _: self.show(), "value")
        self.chart, self.access = ipywidgets.HTML(), Access()
        width = whole_pixels(samples + 2, times=3)
        self.strip = [
            ipywidgets.Image(format="png", layout={"width": width}) for _ in range(samples + 2)
        ]
        names = ["now", *["perhaps next"] * samples, "in fact (V's picture)"]
        shown = [
            classed(ipywidgets.VBox([ipywidgets.Label(name), picture]), "wmlib-figure")
            for name, picture in zip(names, self.strip, strict=True)
        ]
        self.show()
        super().__init__(
            [
                classed(ipywidgets.HBox([self.t, self.latent, self.tau, self.again]), "wmlib-bar"),
                self.chart,
                classed(ipywidgets.HBox(shown), "wmlib-pictures"),
                hint("[Tab] to the next control, [←] [→] move a slider, [↑] [↓] choose an element."),
                self.access,
            ]
        )
        classed(self, "wmlib")

    def next_z(self, count: int) -> torch.Tensor:
        """Draws of all of z_{t+1} at the chosen temperature, (count, Z)."""
        t, generator = self.t.value, torch.Generator().manual_seed(self.draw)
        now = Prediction(
            *(part[t].expand(count, -1, -1) for part in self.mixture()), reward=None, done_logit=None
        )
        shape = (count, self.z.shape[1])
        uniform, normal = torch.rand(shape, generator=generator), torch.randn(shape, generator=generator)
        return sample_mixture(now, uniform, normal, self.tau.value)

    @torch.inference_mode()
    def show(self) -> None:
        t, i, tau = self.t.value, self.latent.value, self.tau.value
        drawn = self.next_z(300)
        logpi, mu, logsigma = (part[t, i].numpy() for part in self.mixture())
        came = float(self.z[t + 1, i])
        says = (
            f"density of z[{i}] at frame {t + 1}, as M foretells it at frame {t}; what came: {came:+.2f}"
        )
        with one_thread():
            painted = self.painter.decode(torch.cat([drawn[: self.samples], self.z[t + 1 : t + 2]]))
        self.chart.value = mixture_chart(logpi, mu, logsigma, tau, drawn[:, i].numpy(), came, says)
        frames = [self.frames[t], *to_frames(painted).numpy()]
        for picture, frame in zip(self.strip, frames, strict=True):
            picture.value = png(frame, 1)
        self.access.pictures = [
            f"frame {t}", *["a next frame that M holds possible"] * self.samples,
            f"frame {t + 1}, as V paints it",
        ]  # fmt: skip

    def mixture(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.prediction.logpi, self.prediction.mu, self.prediction.logsigma

    def draw_again(self) -> None:
        self.draw += 1
        self.show()
