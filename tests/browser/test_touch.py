"""The things to touch, touched in a real browser: in the notebooks in which they stand."""

import pytest
from lab import address_of, notebook, open_and_run, wait_for_change
from playwright.sync_api import expect

PIXELS = "canvas => canvas.toDataURL()"


def test_the_latent_explorer_follows_the_hand(page, lab_address):
    errors = open_and_run(page, address_of(lab_address, "notebooks/02_vae.ipynb"))
    explorer = page.locator(".jp-OutputArea-output > .widget-vbox:has(button:has-text('random z'))")
    real, painted, difference = (explorer.locator("img").nth(i) for i in range(3))
    shown = [picture.get_attribute("src") for picture in (real, painted, difference)]
    slider = explorer.get_by_role("slider").nth(1)  # the first belongs to the walk
    readout = explorer.locator(".widget-readout").nth(1)
    value = readout.inner_text()
    slider.focus()
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    wait_for_change(painted, shown[1])
    wait_for_change(difference, shown[2])
    assert readout.inner_text() != value and real.get_attribute("src") == shown[0]

    explorer.get_by_role("button", name="random z").click()
    expect(explorer).to_contain_text("from which this z does not come", timeout=30_000)
    explorer.get_by_role("button", name="real frame").click()
    wait_for_change(real, shown[0])
    expect(explorer).not_to_contain_text("does not come", timeout=30_000)
    before = real.get_attribute("src")
    explorer.get_by_role("slider", name="walk").press("End")
    wait_for_change(real, before)  # the walk's other end is another frame

    # What a screen reader says.
    labels = explorer.locator(".widget-slider .widget-label").all_inner_texts()
    assert len(labels) == 33
    for i, label in enumerate(labels):
        expect(explorer.get_by_role("slider").nth(i)).to_have_accessible_name(label)
    expect(painted).to_have_attribute("alt", "what V paints from z")
    assert errors == []


def test_the_mixture_explorer_walks_through_an_episode(page, lab_address):
    errors = open_and_run(page, address_of(lab_address, "notebooks/03_mdn_rnn.ipynb"))
    explorer = page.locator(".jp-OutputArea-output > .widget-vbox:has(button:has-text('draw again'))")
    density, now = explorer.locator(".wmlib-chart path.filled"), explorer.locator("img").first
    for act, picture in (
        (lambda: explorer.get_by_role("slider", name="frame").press("ArrowRight"), now),
        (lambda: explorer.get_by_role("slider", name="τ").press("ArrowRight"), density),
        (lambda: explorer.get_by_role("combobox", name="element").press("ArrowDown"), density),
        (lambda: explorer.get_by_role("button", name="draw again").click(), density),
    ):
        what = "src" if picture is now else "d"
        before = picture.get_attribute(what)
        act()
        wait_for_change(picture, before, what)
    frame = explorer.locator(".widget-readout").first.inner_text()
    expect(now).to_have_attribute("alt", f"frame {frame}")
    expect(explorer.get_by_role("img", name=f"as M foretells it at frame {frame}")).to_have_count(1)
    assert errors == []


class Player:
    """The dream player on a page."""

    def __init__(self, page):
        self.page, self.box = page, page.locator(".wmlib-player")
        self.counter, self.stage = self.box.locator(".counter"), self.box.locator(".stage")
        self.pictures, self.status = self.box.locator("canvas.picture"), self.box.get_by_role("status")
        self.wait_for_frame(0)

    def button(self, name):
        return self.box.get_by_role("button", name=name, exact=True)

    def choose(self, what, value):
        self.box.get_by_role("group", name=what).get_by_role("radio", name=value).check()

    def action(self, name):
        return self.box.locator(f".meter[data-name={name}] .value").inner_text()

    def frame(self):
        return int(self.counter.inner_text().split()[1])

    def wait_for_frame(self, n):
        self.page.wait_for_function(
            "n => +document.querySelector('.wmlib-player .counter')?.textContent.split(' ')[1] >= n",
            arg=n,
        )

    def wait_until_it_stands(self):
        """Until the step that was under way at the pause has been answered."""
        before = None
        while before != (before := self.frame()):
            self.page.wait_for_timeout(1000)

    def step(self, press):
        """One frame on by `press`."""
        before = self.frame()
        press()
        self.wait_for_frame(before + 1)
        assert self.frame() == before + 1


def test_the_dream_player_plays_and_is_played(page, lab_address):
    sent = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda frame: sent.append(frame)))
    errors = open_and_run(page, address_of(lab_address, "notebooks/05_dream.ipynb"))
    player = Player(page)
    expect(page.get_by_role("button", name="step", exact=True)).to_have_count(1)  # no plain player
    first = player.pictures.first.evaluate(PIXELS)
    player.button("play").click()
    player.wait_for_frame(10)
    expect(player.counter).to_contain_text("frames/s")
    player.button("pause").click()
    assert player.pictures.first.evaluate(PIXELS) != first

    # Single steps; then drive: the gas that you press is the gas that it gives.
    player.wait_until_it_stands()
    player.step(lambda: player.stage.press("."))
    player.choose("driver", "you")
    expect(player.button("gas")).to_be_visible()
    player.stage.focus()
    page.keyboard.down("ArrowUp")
    player.step(lambda: page.keyboard.press("."))
    assert player.action("gas") == "0.50"
    page.keyboard.up("ArrowUp")
    player.step(lambda: page.keyboard.press("."))
    assert player.action("gas") == "0.00"
    player.button("brake").click()  # while it is paused, a tap counts for the next step
    for expected in ("0.80", "0.00"):
        player.step(lambda: player.button("step").click())
        assert player.action("brake") == expected

    # Both worlds, and eyes that close.
    player.choose("world", "both")
    expect(player.pictures).to_have_count(2)
    player.step(lambda: player.stage.press("."))
    assert player.action("steer") != "–"
    player.button("close eyes here").click()
    expect(player.box.locator(".meter .value").first).to_have_text("–")  # no step led here
    expect(player.counter).to_contain_text("apart 0")

    # A view that is closed stops the work: it asks for nothing more.
    player.stage.press(" ")
    player.wait_for_frame(3)
    page.get_by_role("menuitem", name="Edit").click()
    page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
    player.box.wait_for(state="detached")
    page.wait_for_timeout(2000)  # the last answer, and the farewell
    count = len(sent)
    assert count > 10
    page.wait_for_timeout(1000)
    assert len(sent) == count
    assert errors == []


PLAYER = """
from wmlib.agent import load_agent
from wmlib.runtime.files import REFERENCE
from wmlib.widgets.dream_player import DreamPlayer

DreamPlayer(load_agent(REFERENCE / "carracing"), horizon={horizon})
"""


@pytest.fixture
def small_player(page, lab_address):
    with notebook(PLAYER.format(horizon=200)) as path:
        errors = open_and_run(page, address_of(lab_address, path))
        yield Player(page)
        assert errors == []


def test_jupyterlab_leaves_the_players_keys_alone(page, small_player):
    small_player.button("step").click()
    small_player.wait_for_frame(1)
    small_player.button("step").press("r")  # in command mode it would make the cell raw
    page.wait_for_function("() => document.querySelector('.counter').textContent.startsWith('frame 0')")
    small_player.box.get_by_role("slider").press("ArrowRight")
    expect(small_player.box.locator(".number")).to_have_text("1.05")
    small_player.box.get_by_role("radio", name="agent").press("ArrowRight")
    expect(small_player.button("gas")).to_be_visible()
    expect(page.locator(".jp-CodeCell")).to_have_count(1)


def test_it_follows_jupyterlabs_theme_and_its_pixels_are_all_alike(page, small_player):
    play = small_player.button("play")
    grounds = [(small_player.box, "rgb(255, 255, 255)"), (play, "rgb(0, 114, 178)")]
    for thing, colour in grounds:
        expect(thing).to_have_css("background-color", colour)
    page.emulate_media(color_scheme="dark")
    for thing, colour in grounds:
        expect(thing).not_to_have_css("background-color", colour, timeout=30_000)
    expect(play).to_have_css("background-color", "rgb(90, 179, 232)")
    sides = []
    for width in (1600, 1300, 600):
        page.set_viewport_size({"width": width, "height": 1000})
        page.wait_for_timeout(300)
        sides.append(small_player.pictures.first.bounding_box()["width"])
        assert small_player.box.evaluate("box => box.scrollWidth <= box.clientWidth")
    assert sides[0] >= 448 > sides[2] >= 128 and all(side % 64 == 0 for side in sides)


def test_what_you_type_while_it_plays_is_not_wiped_out(small_player):
    small_player.button("play").click()
    small_player.wait_for_frame(5)
    seed = small_player.box.get_by_role("spinbutton", name="seed")
    seed.fill("")
    seed.press_sequentially("12", delay=150)
    expect(seed).to_have_value("12")
    seed.press("Tab")
    expect(small_player.status).to_have_text("over after 200 frames", timeout=60_000)
    expect(seed).to_have_value("12")
    small_player.button("play").click()  # it begins anew
    expect(small_player.status).to_have_text("playing")


def test_where_the_screen_cannot_load_plain_buttons_play(page, lab_address):
    page.route("**/anywidget/**", lambda route: route.abort())
    with notebook(PLAYER.format(horizon=60)) as path:
        open_and_run(page, address_of(lab_address, path))
        assert page.locator(".wmlib-player").count() == 0
        plain = page.locator(".widget-vbox:has(> .widget-hbox button:has-text('step'))").last
        picture = plain.locator("img").first
        before = picture.get_attribute("src")
        plain.get_by_role("button", name="step").click()
        wait_for_change(picture, before)
        assert "frame 1;" in plain.inner_text()
