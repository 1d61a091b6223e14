"""The mixture explorer: what M expects next, beside what came."""

import ipywidgets
import numpy as np
import torch

from wmlib import figures
from wmlib.data.episodes import EpisodeStore
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN, Prediction, sample_mixture
from wmlib.vae import VAE, kl_per_latent, to_frames
from wmlib.widgets.access import Access
from wmlib.widgets.png import png
from wmlib.worlds.moments import memories


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
        self.vae, self.samples = vae, samples
        self.frames = np.array(store.frames(store.seeds[episode]))
        z, h = memories(mdnrnn, data, episode)
        self.z = z  # (T + 1, Z)
        with torch.inference_mode():
            self.prediction = mdnrnn.predict(h[1:])  # of z[1:], (T, Z, K) each
        activity = kl_per_latent(data.mu, data.logvar).mean(0)
        order = activity.argsort(descending=True).tolist()
        self.t = ipywidgets.IntSlider(
            min(60, len(z) - 2), 0, len(z) - 2, description="frame", layout={"width": "420px"}
        )
        self.latent = ipywidgets.Dropdown(
            options=[(f"z[{i}], {activity[i]:.1f} nats", i) for i in order], description="element"
        )
        self.tau = ipywidgets.FloatSlider(
            1.0, min=0.1, max=2.0, step=0.05, description="τ", tooltip="temperature"
        )
        self.again = ipywidgets.Button(
            description="draw again", tooltip="other samples", layout={"width": "8em"}
        )
        self.draw = 0
        self.again.on_click(lambda _: self.draw_again())
        for control in (self.t, self.latent, self.tau):
            control.observe(lambda _: self.show(), "value")
        self.picture, self.access = ipywidgets.Image(format="png", layout={"width": "630px"}), Access()
        self.strip = [ipywidgets.Image(format="png") for _ in range(samples + 2)]
        names = ["now", *["perhaps next"] * samples, "in fact (V's picture)"]
        shown = [
            ipywidgets.VBox([ipywidgets.Label(name), picture])
            for name, picture in zip(names, self.strip, strict=True)
        ]
        self.show()
        controls = [ipywidgets.HBox([self.t, self.latent]), ipywidgets.HBox([self.tau, self.again])]
        super().__init__([*controls, self.picture, ipywidgets.HBox(shown), self.access])

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
        came, title = float(self.z[t + 1, i]), f"z[{i}] at frame {t + 1}"
        figure = figures.mixture(logpi, mu, logsigma, tau, drawn[:, i].numpy(), came, title)
        self.picture.value = figure._repr_png_()
        painted = to_frames(self.vae.decode(torch.cat([drawn[: self.samples], self.z[t + 1 : t + 2]])))
        for picture, frame in zip(self.strip, [self.frames[t], *painted.numpy()], strict=True):
            picture.value = png(frame, 2)
        self.access.pictures = [
            f"density of {title}, as M foretells it at frame {t}; what came: {came:+.2f}", f"frame {t}",
            *["a next frame that M holds possible"] * self.samples, f"frame {t + 1}, as V paints it",
        ]  # fmt: skip

    def mixture(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.prediction.logpi, self.prediction.mu, self.prediction.logsigma

    def draw_again(self) -> None:
        self.draw += 1
        self.show()
