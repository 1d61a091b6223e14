"""Widgets without a browser: they are plain objects with traits."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from wmlib.agent import load_agent
from wmlib.artifacts import REFERENCE
from wmlib.episodes import EpisodeStore
from wmlib.mdnrnn import Prediction, mixture_nll
from wmlib.training import encode_store
from wmlib.vae import to_frames, to_images
from wmlib.widgets.dream_player import DreamPlayer
from wmlib.widgets.film import Film
from wmlib.widgets.latent_explorer import LatentExplorer
from wmlib.widgets.mixture_explorer import MixtureExplorer


@pytest.fixture(scope="module")
def agent():
    return load_agent(REFERENCE / "carracing")


@pytest.fixture(scope="module")
def store():
    return EpisodeStore(REFERENCE.parent / "sample")


@pytest.fixture(scope="module")
def frames(store):
    return np.array(store.frames(store.seeds[0]))[::20]


def shown(picture, scale):
    return np.asarray(Image.open(io.BytesIO(picture.value)))[::scale, ::scale]


def test_the_films_slider_shows_its_frame():
    frames = np.random.default_rng(0).integers(0, 256, (4, 8, 6, 3), np.uint8)
    film = Film(frames, scale=2)
    for t in (2, 0, 3):
        film.slider.value = t
        np.testing.assert_array_equal(shown(film.picture, 2), frames[t])
        assert film.caption.value == f"frame {t}"
    assert film.slider.max == film.play.max == 3


# Latent explorer


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
    np.testing.assert_array_equal(shown(explorer.pictures["painted"], 1), painted(agent.vae, z))


def test_the_latents_are_ordered_by_their_kl(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    mu, logvar = agent.vae.encode(to_images(torch.from_numpy(frames)))
    normal = torch.distributions.Normal(mu, (logvar / 2).exp())
    kl = torch.distributions.kl_divergence(normal, torch.distributions.Normal(0.0, 1.0)).mean(0)
    assert list(explorer.sliders) == kl.argsort(descending=True).tolist()


def test_a_button_paints_once_for_all_its_sliders(agent, frames, monkeypatch):
    explorer = LatentExplorer(agent.vae, frames)
    count = []
    monkeypatch.setattr(explorer, "_paint", lambda: count.append(1))
    explorer.random()
    explorer.zero()
    assert len(count) == 2 and not explorer.z.any()
    assert all(slider.value == 0 for slider in explorer.sliders.values())


def test_back_leads_to_the_frame_on_the_left(agent, frames):
    explorer = LatentExplorer(agent.vae, frames)
    first = explorer.z.clone()
    explorer.random()
    assert "from which this z does not come" in explorer.caption.value
    explorer.set(explorer.mu[explorer.here])
    assert torch.equal(explorer.z, first) and "does not come" not in explorer.caption.value


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


# Mixture explorer


@pytest.fixture(scope="module")
def mixture(agent, store):
    return MixtureExplorer(agent.vae, agent.mdnrnn, encode_store(agent.vae, store), store)


def test_what_came_is_the_next_frame_and_now_is_this_one(agent, store, mixture):
    mixture.t.value = 30
    frames = store.frames(store.seeds[0])
    np.testing.assert_array_equal(shown(mixture.strip[0], 2), frames[30])
    mu, _ = agent.vae.encode(to_images(torch.from_numpy(np.array(frames[31:32]))))
    difference = shown(mixture.strip[-1], 2).astype(int) - painted(agent.vae, mu[0].detach())
    assert np.abs(difference).max() <= 1  # a batch of another size rounds otherwise


def test_its_draws_follow_the_mixture(mixture):
    mixture.t.value, mixture.tau.value = 40, 1.0
    drawn = mixture.next_z(4000)
    now = (part[40] for part in mixture._mixture())
    now = Prediction(*now, None, None)
    mean = (now.logpi.exp() * now.mu).sum(-1)
    torch.testing.assert_close(drawn.mean(0), mean, atol=0.08, rtol=0)
    # The mean surprise of honest draws is the mixture's entropy: near that of other draws.
    luck = mixture.luck
    mixture._draw_again()
    other = mixture.next_z(4000)
    assert mixture.luck == luck + 1 and not torch.equal(drawn, other)
    first, second = (mixture_nll(now, z).mean() for z in (drawn, other))
    assert abs(float(first - second)) < 0.02


def test_temperature_and_number_change_the_picture(mixture):
    before = mixture.picture.value
    mixture.tau.value = 0.3
    cold = mixture.picture.value
    mixture.latent.value = mixture.latent.options[-1][1]
    assert len({before, cold, mixture.picture.value}) == 3
    mixture.tau.value = 1.0


# Dream player


@pytest.fixture
def player(agent):
    player = DreamPlayer(agent, horizon=30)
    player.sent = []
    player.screen.send = lambda content, buffers=None: player.sent.append((content, buffers))
    yield player
    player.close()


def ask(player, what, **content):
    player._asked(None, {"from": "me", "ask": what, "content": content}, [])
    return player.sent[-1]


def test_the_keys_and_the_numbers_are_those_of_the_game(player, doom_run):
    assert [key for key, _, _ in player.screen.buttons] == list(player.plain.held) == [
        "left", "up", "down", "right",
    ]  # fmt: skip
    assert player.screen.numbers == ["steer", "gas", "brake"]
    doom = DreamPlayer(load_agent(doom_run))
    assert doom.screen.buttons == [["left", "←", "step left"], ["right", "→", "step right"]]
    assert doom.screen.numbers == ["step"] and list(doom.plain.held) == ["left", "right"]
    doom.plain.held["right"].value = True
    doom.plain.driver.value = "you"
    doom.plain.step.click()
    assert doom.session.view.action.tolist() == [1.0]
    doom.close()


def test_each_wish_gets_one_answer_with_the_picture(player):
    content, buffers = ask(player, "hello")
    assert content["to"] == "me" and content["t"] == 0 and content["settings"]["where"] == "dream"
    for t in (1, 2):
        content, buffers = ask(player, "step", keys=[])
        picture = np.frombuffer(buffers[0], np.uint8).reshape(64, 64, 4)
        np.testing.assert_array_equal(picture[:, :, :3], player.session.view.worlds["dream"].frame)
        assert content["t"] == t and (picture[:, :, 3] == 255).all()
    assert len(player.sent) == 3
    assert ask(player, "reset")[0]["t"] == 0


def test_a_second_screen_finds_what_the_first_one_shows(player):
    ask(player, "hello")
    ask(player, "step", keys=[])
    player._asked(None, {"from": "another", "ask": "hello"}, [])
    content, _ = player.sent[-1]
    assert content["to"] == "another" and content["t"] == 1


def test_an_interrupted_step_is_told_and_the_game_begins_anew(player, monkeypatch):
    ask(player, "change", where="game")
    ask(player, "step", keys=[])

    def interrupted(action):
        raise KeyboardInterrupt

    monkeypatch.setattr(player.session._game, "step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        ask(player, "step", keys=[])
    assert "KeyboardInterrupt" in player.sent[-1][0]["error"]
    assert ask(player, "step", keys=[])[0]["t"] == 0  # a new game, from its beginning
    assert ask(player, "step", keys=[])[0]["t"] == 1


def test_the_plain_player_steps_aside_for_the_screen(player):
    assert player.plain.layout.display != "none"
    ask(player, "hello")
    assert player.plain.layout.display == "none"


def test_both_worlds_come_as_two_pictures_and_the_game_is_let_go(player):
    ask(player, "hello")
    content, buffers = ask(player, "change", where="both")
    assert list(content["worlds"]) == ["game", "dream"] and len(buffers) == 2
    assert player.session._game is not None
    count = len(player.sent)
    ask(player, "bye")
    assert player.session._game is None and len(player.sent) == count


@pytest.mark.parametrize(
    "wish", [("fly", {}), ("change", {"speed": 1}), ("close eyes", {}), ("step", {})]
)
def test_what_goes_wrong_is_told_to_the_screen(player, wish):
    ask(player, "hello")
    content, _ = ask(player, wish[0], **wish[1])
    assert content["to"] == "me" and "Error: " in content["error"]


def test_the_plain_player_plays_too(player):
    plain = player.plain
    plain.step.click()
    assert plain.caption.value.startswith("frame 1; the dream: ")
    (picture,) = plain.pictures.children
    np.testing.assert_array_equal(shown(picture, 4), player.session.view.worlds["dream"].frame)
    plain.driver.value = "you"
    plain.held["up"].value = True
    plain.ticks.value = 1
    assert player.session.view.t == 2 and player.session.view.action[1] == 0.5
    plain.reset.click()
    assert player.session.view.t == 0
    plain.eyes.click()
    assert "choose where='both'" in plain.caption.value
    plain.where.value = "both"
    assert len(plain.pictures.children) == 2
    plain.tau.value, plain.horizon.value = 0.5, 7
    assert (player.session.tau, player.session.horizon) == (0.5, 7)
