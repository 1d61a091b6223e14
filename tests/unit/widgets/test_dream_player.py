"""The dream player without a browser: what a screen asks for, and what it is sent."""

import io

import numpy as np
import pytest
from PIL import Image

from wmlib.agent import load_agent
from wmlib.runtime.files import REFERENCE
from wmlib.widgets.dream_player import DreamPlayer


@pytest.fixture(scope="module")
def agent():
    return load_agent(REFERENCE / "carracing")


def shown(picture, scale):
    return np.asarray(Image.open(io.BytesIO(picture.value)))[::scale, ::scale]


@pytest.fixture
def player(agent):
    player = DreamPlayer(agent, horizon=30)
    player.sent = []
    player.screen.send = lambda content, buffers=None: player.sent.append((content, buffers))
    yield player
    player.close()


def ask(player, what, **content):
    player.asked(None, {"from": "me", "ask": what, "content": content}, [])
    return player.sent[-1]


def test_the_keys_and_the_numbers_are_those_of_the_game(player, doom_run):
    assert [key for key, _, _ in player.screen.buttons] == list(player.plain.held) == [
        "left", "up", "down", "right",
    ]  # fmt: skip
    assert player.screen.numbers == [["steer", -1.0, 1.0], ["gas", 0.0, 1.0], ["brake", 0.0, 1.0]]
    assert player.screen.parts == ["reward", "end"]
    doom = DreamPlayer(load_agent(doom_run))
    assert doom.screen.buttons == [["left", "←", "step left"], ["right", "→", "step right"]]
    assert doom.screen.parts == ["end"]  # to live on is all that is paid there
    assert doom.screen.numbers == [["step", -1.0, 1.0]] and list(doom.plain.held) == ["left", "right"]
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
    player.asked(None, {"from": "another", "ask": "hello"}, [])
    content, _ = player.sent[-1]
    assert content["to"] == "another" and content["t"] == 1


def test_an_interrupted_step_is_told_and_the_game_begins_anew(player, monkeypatch):
    ask(player, "change", where="game")
    ask(player, "step", keys=[])

    def interrupted(action):
        raise KeyboardInterrupt

    monkeypatch.setattr(player.session.game, "step", interrupted)
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
    assert player.session.game is not None
    count = len(player.sent)
    ask(player, "bye")
    assert player.session.game is None and len(player.sent) == count


@pytest.mark.parametrize(
    "wish", [("fly", {}), ("change", {"speed": 1}), ("close eyes", {}), ("step", {})]
)
def test_what_goes_wrong_is_told_to_the_screen(player, wish):
    ask(player, "hello")
    content, _ = ask(player, wish[0], **wish[1])
    assert content["to"] == "me" and "Error: " in content["error"]


MALFORMED = [
    {}, {"ask": "fly"}, {"ask": None}, {"ask": ["step"]},
    {"ask": "step"}, {"ask": "step", "content": {}},
    {"ask": "step", "content": None}, {"ask": "step", "content": [1]},
    {"ask": "step", "content": {"keys": "up"}}, {"ask": "step", "content": {"keys": 3}},
    {"ask": "change", "content": {"speed": 1}}, {"ask": "change", "content": {"self": 1}},
    {"ask": "change", "content": {"tau": float("nan")}}, {"ask": "change", "content": {"tau": "hot"}},
    {"ask": "change", "content": {"seed": True}}, {"ask": "change", "content": {"horizon": 10**400}},
    {"ask": "change", "content": {"where": {}}}, {"ask": "change", "content": {"where": "game", "x": 1}},
    {"ask": "hello", "content": "world"}, {"ask": "close eyes"},
]  # fmt: skip


def test_a_malformed_message_is_answered_and_ends_nothing(player, monkeypatch):
    ask(player, "hello")
    ask(player, "step", keys=[])
    monkeypatch.setattr(player.session, "close", lambda: pytest.fail("the session was closed"))
    before = player.session.settings
    for message in MALFORMED:
        player.asked(None, {"from": "me"} | message, [])
        content, _ = player.sent[-1]
        assert content["to"] == "me" and content["error"].startswith("ValueError: "), message
        assert player.session.view.t == 1 and player.session.settings == before, message
    monkeypatch.undo()
    assert ask(player, "step", keys=[])[0]["t"] == 2


@pytest.mark.parametrize(
    "message", [None, "step", [], 3, {"ask": "reset"}, {"from": 3, "ask": "reset"},
                {"from": ["me"], "ask": "reset"}, {"from": "x" * 101, "ask": "hello"}],
)  # fmt: skip
def test_who_does_not_say_who_asks_gets_no_answer(player, message):
    ask(player, "hello")
    ask(player, "step", keys=[])
    count = len(player.sent)
    player.asked(None, message, [])
    assert len(player.sent) == count and player.session.view.t == 1 and list(player.screens) == ["me"]


def test_keys_that_the_game_does_not_know_are_not_held(player):
    ask(player, "hello")
    ask(player, "change", driver="you")
    content, _ = ask(player, "step", keys=["up", "fire", 3, None, [], {}, float("nan")])
    assert content["action"] == [0.0, 0.5, 0.0]


def test_screens_that_never_said_bye_are_not_remembered_for_ever(player, monkeypatch):
    closed = []
    monkeypatch.setattr(player.session, "close", lambda: closed.append(True))
    for number in range(50):
        player.asked(None, {"from": f"screen {number}", "ask": "hello"}, [])
        player.asked(None, {"from": f"screen {number}", "ask": "hello"}, [])
    assert list(player.screens) == [f"screen {number}" for number in range(34, 50)]
    player.asked(None, {"from": "screen 3", "ask": "bye"}, [])  # forgotten
    for screen in list(player.screens):
        assert not closed
        player.asked(None, {"from": screen, "ask": "bye"}, [])
    assert closed == [True]


@pytest.mark.parametrize("tau", [0.05, 0.07, 1.234, 2.5, 10.0])
def test_the_plain_player_shows_the_sessions_settings_whoever_set_them(agent, tau):
    player = DreamPlayer(agent, tau=tau, horizon=30)
    plain, session = player.plain, player.session
    assert (plain.tau.value, plain.horizon.value, session.tau) == (tau, 30, tau)
    session.change(tau=0.5, driver="you", horizon=9)
    plain.step.click()
    shown = [getattr(plain, name).value for name in ("where", "driver", "tau", "horizon")]
    assert shown == ["dream", "you", 0.5, 9] and session.view.t == 1
    plain.tau.value = tau
    assert session.tau == tau and session.view.t == 1
    player.close()


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
