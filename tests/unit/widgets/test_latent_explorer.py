"""The latent explorer without a browser: a widget is a plain object with traits."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from wmlib.agent import load_agent
from wmlib.data.episodes import EpisodeStore
from wmlib.runtime.files import REFERENCE
from wmlib.vae import to_frames, to_images
from wmlib.widgets.latent_explorer import LatentExplorer


@pytest.fixture(scope="module")
def agent():
    return load_agent(REFERENCE / "carracing")


@pytest.fixture(scope="module")
def frames():
    store = EpisodeStore(REFERENCE.parent / "sample")
    return np.array(store.frames(store.seeds[0]))[::20]


def shown(picture, scale):
    return np.asarray(Image.open(io.BytesIO(picture.value)))[::scale, ::scale]


def painted(vae, z):
    with torch.inference_mode():
        return to_frames(vae.decode(z[None]))[0].numpy()


def test_a_latents_slider_repaints_and_leaves_the_rest_of_z(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    z = explorer.z.clone()
    number, slider = next(iter(explorer.sliders.items()))
    slider.value = 1.5
    z[number] = 1.5
    assert torch.equal(explorer.z, z)
    difference = shown(explorer.pictures["painted"], 1).astype(int) - painted(agent.vae, z)
    assert np.abs(difference).max() <= 1  # folded layers round otherwise


def test_the_latents_are_ordered_by_their_kl(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    mu, logvar = agent.vae.encode(to_images(torch.from_numpy(frames)))
    normal = torch.distributions.Normal(mu, (logvar / 2).exp())
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean(0)
    assert list(explorer.sliders) == kl.argsort(descending=True).tolist()


def test_a_button_paints_once_for_all_its_sliders(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    count = []
    explorer.pictures["painted"].observe(lambda _: count.append(1), "value")
    explorer.random()
    explorer.zero()
    assert len(count) == 2 and not explorer.z.any()
    assert all(slider.value == 0 for slider in explorer.sliders.values())


def test_back_leads_to_the_frame_on_the_left(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    first = explorer.z.clone()
    explorer.random()
    assert explorer.captions["real"].value.endswith(", from which this z does not come")
    explorer.set(explorer.mu[explorer.here])
    assert torch.equal(explorer.z, first) and "not come" not in explorer.captions["real"].value


def test_half_the_walk_is_the_middle_of_two_frames(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    explorer.walk.value = 0.5
    ends = agent.vae.encode(to_images(torch.from_numpy(frames[[explorer.here, explorer.there]])))[0]
    torch.testing.assert_close(explorer.z, ends.mean(0).detach(), atol=1e-4, rtol=1e-4)
    explorer.walk.value = 1.0
    np.testing.assert_array_equal(shown(explorer.pictures["real"], 1), frames[explorer.there])


def test_every_control_has_a_name_that_can_be_read_out(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    assert all(s.description for s in [*explorer.sliders.values(), explorer.walk])
    assert len(explorer.access.pictures) == len(explorer.pictures) and all(explorer.access.pictures)


def test_one_frame_is_no_walk_and_two_are(agent, frames):
    for few in (frames[:0], frames[:1]):
        with pytest.raises(ValueError, match=f"^frames holds {len(few)}; .* takes 2 or more$"):
            LatentExplorer(agent.vae, few)
    explorer = LatentExplorer(agent.vae, frames[:2])
    assert {explorer.here, explorer.there} == {0, 1}
