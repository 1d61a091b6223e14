"""A session plays what the worlds play: its sums are those of `play`, its pictures those of V."""

import json

import numpy as np
import pytest
import torch

from wmlib.agent import Agent, load_agent
from wmlib.runtime.files import REFERENCE
from wmlib.vae import to_frames
from wmlib.widgets.session import Session
from wmlib.worlds import DreamWorld, RealWorld, play

SEED, STEPS = 1_500_003, 25


@pytest.fixture(scope="module")
def agent():
    return load_agent(REFERENCE / "carracing")


def played(world, agent):
    with world:
        return float(play(world, agent.controller, agent.params[None], [SEED])[0, 0])


def total(agent, where):
    with Session(agent, where, seed=SEED, horizon=STEPS) as session:
        while not session.step().over:
            pass
        assert session.view.t == STEPS
        return session.view.worlds[where].total


def test_in_the_game_it_earns_what_play_earns(agent):
    world = RealWorld(agent.vae, agent.mdnrnn, lanes=1, workers=1, horizon=STEPS)
    assert total(agent, "game") == pytest.approx(played(world, agent))


def test_one_frame_at_a_time_is_the_same_game(agent):
    with (
        Session(agent, "game", seed=SEED, horizon=STEPS) as whole,
        Session(agent, "game", seed=SEED, horizon=STEPS, chunk=1) as single,
    ):
        for _ in range(10):
            np.testing.assert_allclose(single.step().action, whole.step().action, atol=1e-3)


def test_in_the_dream_it_is_promised_what_play_is_promised(agent):
    world = DreamWorld(agent.mdnrnn, agent.starts, 1, STEPS)
    assert total(agent, "dream") == pytest.approx(played(world, agent))


def test_with_both_the_dream_begins_where_the_game_does_and_gets_the_same_actions(agent):
    with Session(agent, "both", seed=SEED, horizon=STEPS) as session:
        view = session.view
        seen = session.game.perception.z
        painted = to_frames(agent.vae.decode(seen).detach())[0].numpy()
        np.testing.assert_array_equal(view.worlds["dream"].frame, painted)
        alone = Session(agent, "game", seed=SEED, horizon=STEPS)
        with alone:
            for _ in range(5):
                view = session.step()
                np.testing.assert_array_equal(view.action, alone.step().action)
                np.testing.assert_array_equal(view.worlds["game"].frame, alone.view.worlds["game"].frame)
        assert view.apart > 0


def test_closing_the_eyes_brings_the_dream_back_to_the_game(agent):
    with Session(agent, "both", seed=SEED, horizon=200) as session:
        for _ in range(40):
            view = session.step()
        before = view.apart
        view = session.close_eyes()
        assert view.t == 40 and view.apart < min(before, 0.5) and view.parted is None
        assert torch.equal(session.dream.features(), session.game.perception.features())


def test_there_is_no_closing_of_eyes_without_a_game(agent):
    with pytest.raises(ValueError, match="no game to dream on from"):
        Session(agent, "dream").close_eyes()


def test_your_keys_steer_with_some_delay(agent):
    session = Session(agent, "dream", "you", seed=SEED)
    steering = [float(session.step(["left", "up"]).action[0]) for _ in range(8)]
    np.testing.assert_allclose(steering[:5], [-0.15, -0.3, -0.45, -0.6, -0.7], atol=1e-6)
    assert steering[-1] == pytest.approx(-0.7)
    np.testing.assert_allclose(session.view.action[1:], [0.5, 0.0])
    np.testing.assert_allclose(session.step(["right", "down"]).action, [-0.55, 0.0, 0.8], atol=1e-6)


def test_in_doom_you_step_aside_at_once_and_every_step_pays_one(doom_run):
    doom = load_agent(doom_run)
    with Session(doom, "both", "you", seed=SEED) as session:
        assert session.horizon == 2100
        for keys, expected in ((["left"], -1), (["right", "up"], 1), (["left", "right"], 0), ([], 0)):
            view = session.step(keys)
            assert view.action.tolist() == [expected]
        assert {glance.foreseen for glance in view.worlds.values()} == {1.0}
        assert view.worlds["game"].total == 4
        assert 0 <= view.worlds["dream"].end <= 1


def test_the_world_and_the_track_begin_anew_the_temperature_does_not(agent):
    session = Session(agent, "dream", seed=SEED)
    session.step()
    assert session.change(tau=1.5, driver="you").t == 1 and session.tau == 1.5
    assert session.change(seed=SEED + 1).t == 0
    with pytest.raises(ValueError, match="no 'speed' to set"):
        session.change(speed=3)


@pytest.mark.parametrize(
    "choice",
    [
        {"where": "moon"}, {"where": ["game"]}, {"where": None}, {"driver": "me"},
        {"driver": float("nan")}, {"seed": -1}, {"seed": 1.5}, {"seed": 2**31}, {"seed": True},
        {"seed": "3"}, {"horizon": 0}, {"horizon": 10_001}, {"horizon": {}}, {"tau": 0},
        {"tau": float("nan")}, {"tau": True},
    ],
)  # fmt: skip
def test_what_cannot_be_set_is_refused_by_name_and_changes_nothing(agent, choice):
    session = Session(agent, "dream", seed=SEED, horizon=9)
    session.step()
    before = session.settings
    (name,) = choice
    with pytest.raises(ValueError, match=f"^{name} is .*, must be "):
        session.change(**choice)
    assert session.settings == before and session.view.t == 1


def test_what_is_no_setting_cannot_be_set(agent):
    session = Session(agent, "dream", seed=SEED, horizon=9)
    session.step()
    for choices in ({"self": 1}, {"t": 3}, {"tau": 2.0, "view": None}):
        with pytest.raises(ValueError, match=r"^there is no .* to set; there are: where, driver, seed"):
            session.change(**choices)
    assert session.view.t == 1 and session.tau == 1.0


def test_numpys_numbers_become_pythons_which_the_browser_can_be_told(agent):
    session = Session(agent, "dream", seed=np.int64(SEED), horizon=np.int32(9), tau=np.float32(0.5))
    plain = {"where": "dream", "driver": "agent", "seed": SEED, "horizon": 9, "tau": 0.5}
    assert json.loads(json.dumps(session.settings)) == plain
    session.change(seed=np.uint16(3), horizon=np.int64(8), tau=np.float64(2.0))
    assert json.loads(json.dumps(session.settings)) == plain | {"seed": 3, "horizon": 8, "tau": 2.0}


def test_a_world_that_is_none_is_refused_at_once(agent):
    with pytest.raises(ValueError, match=r"^where is 'nowhere', must be "):
        Session(agent, "nowhere")


def test_after_a_reset_that_broke_off_it_begins_anew(agent, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with Session(agent, "dream", seed=SEED, horizon=9) as session:
        with monkeypatch.context() as patch:
            patch.setattr(Agent, "real", interrupted)
            with pytest.raises(KeyboardInterrupt):
                session.change(where="game")
        assert session.step().t == 0 and list(session.view.worlds) == ["game"]


def test_after_the_end_nothing_moves_and_a_closed_game_begins_anew(agent):
    with Session(agent, "game", seed=SEED, horizon=2) as session:
        session.step()
        last = session.step()
        assert last.over and session.step() is last
        session.reset()
        session.step()
        session.close()
        assert session.step().t == 0


def test_the_temperature_reaches_the_dream(agent):
    def spread(tau):
        session, z = Session(agent, "dream", seed=SEED, tau=tau), []
        for _ in range(20):
            session.step()
            z.append(session.dream.z[0].clone())
        return torch.stack(z).diff(dim=0).square().mean()

    assert spread(0.1) < 0.5 * spread(1.0)
