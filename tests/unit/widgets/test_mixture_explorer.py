"""The mixture explorer without a browser: a widget is a plain object with traits."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from wmlib.agent import load_agent
from wmlib.data.episodes import EpisodeStore
from wmlib.mdnrnn import Prediction, mixture_nll
from wmlib.runtime.files import REFERENCE
from wmlib.training import encode_store
from wmlib.vae import to_frames, to_images
from wmlib.widgets.mixture_explorer import MixtureExplorer


@pytest.fixture(scope="module")
def agent():
    return load_agent(REFERENCE / "carracing")


@pytest.fixture(scope="module")
def store():
    return EpisodeStore(REFERENCE.parent / "sample")


@pytest.fixture(scope="module")
def mixture(agent, store):
    return MixtureExplorer(agent.vae, agent.mdnrnn, encode_store(agent.vae, store), store)


def shown(picture, scale):
    return np.asarray(Image.open(io.BytesIO(picture.value)))[::scale, ::scale]


def painted(vae, z):
    with torch.inference_mode():
        return to_frames(vae.decode(z[None]))[0].numpy()


def test_what_came_is_the_next_frame_and_now_is_this_one(agent, store, mixture):
    mixture.t.value = 30
    frames = store.frames(store.seeds[0])
    np.testing.assert_array_equal(shown(mixture.strip[0], 1), frames[30])
    mu, _ = agent.vae.encode(to_images(torch.from_numpy(np.array(frames[31:32]))))
    difference = shown(mixture.strip[-1], 1).astype(int) - painted(agent.vae, mu[0].detach())
    assert np.abs(difference).max() <= 1  # a batch of another size rounds otherwise


def test_its_draws_follow_the_mixture(mixture):
    mixture.t.value, mixture.tau.value = 40, 1.0
    drawn = mixture.next_z(4000)
    now = (part[40] for part in mixture.mixture())
    now = Prediction(*now, None, None)
    mean = (now.logpi.exp() * now.mu).sum(-1)
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.08, rtol=0)
    # The mean surprise of honest draws is the mixture's entropy: near that of other draws.
    before = mixture.draw
    mixture.again.click()
    other = mixture.next_z(4000)
    assert mixture.draw == before + 1 and not torch.equal(drawn, other)
    first, second = (mixture_nll(now, z).mean() for z in (drawn, other))
    assert abs(float(first - second)) < 0.02


def test_temperature_and_number_change_the_picture(mixture):
    before = mixture.chart.value
    mixture.tau.value = 0.3
    cold = mixture.chart.value
    mixture.latent.value = mixture.latent.options[-1][1]
    assert len({before, cold, mixture.chart.value}) == 3
    mixture.tau.value = 1.0
