"""The dream in a page: torch's own numbers, in two browsers; and a page that works, or says why not."""

import json
import shutil
import time

import pytest
import torch
import wasmtime
from firefox import start_firefox
from lab import ROOT, open_page
from playwright.sync_api import expect, sync_playwright

from web import GAMES, Chromium, by_torch, serve
from wmlib.config import ControllerConfig
from wmlib.controller import Controller
from wmlib.own import choose, switch
from wmlib.stages.web import action_table
from wmlib.task import find_task

ARROW_UP = "\ue013"
STATE = "() => document.body.dataset.state"


def test_the_kernel_is_what_its_text_says():
    text = (ROOT / "web" / "kernel.wat").read_text(encoding="utf-8")
    assert bytes(wasmtime.wat2wasm(text)) == (ROOT / "web" / "kernel.wasm").read_bytes()


@pytest.fixture(scope="module")
def site(web, tmp_path_factory):
    """A copy, to harm."""
    return shutil.copytree(web, tmp_path_factory.mktemp("web") / "site")


@pytest.fixture(scope="module")
def address(site):
    with serve(site) as address:
        yield address


@pytest.fixture(scope="module", params=["chromium", "firefox"])
def tab(request):
    """A tab of each browser, which all tests share."""
    browser = request.getfixturevalue(request.param)
    if request.param == "firefox":
        with start_firefox(browser) as tab:
            yield tab
    else:
        with sync_playwright() as playwright, open_page(playwright, browser, has_touch=True) as page:
            yield Chromium(page)


def wait_for(tab, condition, *arguments, seconds=60):
    """Until a function gives something true in the page. (The page's CSP stops Playwright's own.)"""
    until = time.monotonic() + seconds
    while not (found := tab.run(condition, *arguments)):
        assert time.monotonic() < until, f"{condition} is not so after {seconds} s"
        time.sleep(0.05)
    return found


@pytest.fixture
def numbers(tab, address):
    tab.goto(f"{address}numbers.html")
    wait_for(tab, "() => 'against' in globalThis")
    yield tab
    assert tab.errors == tab.failed == []


@pytest.mark.parametrize("game", GAMES)
def test_a_dream_is_torchs(numbers, game):
    off = numbers.run("given => against(given)", by_torch(game))
    assert off.pop("kernel"), "it was to be computed by WebAssembly"
    picture = off.pop("picture")
    assert picture < 1e-3 and max(off.values()) < 1e-4, (picture, off)


def test_plain_javascript_is_the_kernel(numbers):
    shapes = [(1, 1, 1), (1, 7, 16), (2, 3, 17), (3, 5, 33), (4, 1, 15), (5, 259, 48), (7, 64, 100)]
    assert max(numbers.run("shapes => products(shapes)", shapes)) < 1e-4


@pytest.mark.parametrize("game", GAMES)
def test_thirty_frames_a_second_are_no_trouble(numbers, game):
    assert numbers.run("(game) => milliseconds(game, true)", game) < 1000 / 30


@pytest.mark.parametrize("game", GAMES)
def test_every_c_acts_as_in_python(numbers, game):
    task = find_task(game)
    table = action_table(task).flatten().tolist()
    about = {"actions": [{}] * task.action_size, "features": [], "z": task.z_size, "h": task.hidden_size}
    for config in (ControllerConfig(hidden=5), ControllerConfig(inputs="z", bias=False)):
        controller = Controller(task, config)
        params, features = torch.randn(1, controller.size), torch.randn(1, 9, task.feature_size)
        driver = {"layers": controller.layers, "bias": config.bias}
        given = about, driver, params[0].tolist(), table, features[0].tolist()
        acts = numbers.run("(...given) => acts(...given)", *given)
        # Between two points of the table the page goes straight on.
        torch.testing.assert_close(
            torch.tensor(acts), controller.act(params, features)[0], atol=1e-4, rtol=0
        )


@pytest.mark.parametrize(("turn", "way"), [("choice", choose), ("switches", switch)])
def test_games_of_choices_and_of_switches_are_acted_in(numbers, turn, way):
    about = {"actions": [{}] * 4, "features": ["z"], "z": 6, "h": 0, "turn": turn}
    weights, features = torch.randn(6, 4), torch.randn(20, 6)
    given = (
        about,
        {"layers": [[6, 4]], "bias": False},
        weights.flatten().tolist(),
        [0] * 8,
        features.tolist(),
    )
    acts = torch.tensor(numbers.run("(...given) => acts(...given)", *given))
    assert torch.equal(acts.float(), way(features @ weights))


@pytest.mark.parametrize("game", GAMES)
def test_hands_are_those_of_the_game(numbers, game):
    task = find_task(game)
    names, chance = list(task.keys), torch.Generator().manual_seed(0)
    held = (torch.rand(12, len(names), generator=chance) > 0.5).repeat_interleave(4, 0)
    keys = [[name for name, on in zip(names, row, strict=True) if on] for row in held.tolist()]
    hands = task.hands()
    expected = torch.stack([torch.from_numpy(hands(row)) for row in keys])
    given = numbers.run("(game, held) => hands(game, held)", game, keys)
    given = torch.tensor(given, dtype=torch.float32)
    torch.testing.assert_close(given, expected, atol=1e-4, rtol=0)


FRAME = "() => +document.querySelector('#drive .frame').textContent.replace(',', '')"
ACTION = "a => +document.querySelectorAll('#drive .actions output')[a].textContent.replace('−', '-')"
CLICK = "selector => document.querySelector(selector).click()"
PIXEL = """() => {
  const screen = document.querySelector("#drive canvas").getContext("2d");
  return [...screen.getImageData(32, 32, 1, 1).data];
}"""
FIRST = """() => {
  const [{ startTime }] = performance.getEntriesByName("first picture");
  const before = performance.getEntriesByType("resource").filter((file) => file.responseEnd < startTime);
  return [startTime, before.reduce((sum, file) => sum + file.encodedBodySize, 0)];
}"""
MIDDLE = """selector => {
  const element = document.querySelector(selector);
  element.scrollIntoView({ behavior: "instant", block: "center" });
  const { x, y, width, height } = element.getBoundingClientRect();
  return [Math.round(x + width / 2), Math.round(y + height / 2)];
}"""


def test_it_plays_and_is_played(tab, address):
    """By itself, by keys and by touch; with a first picture that is soon there, and small."""
    waits = []
    while not waits or (min(waits) > 2000 and len(waits) < 4):  # somebody else may keep the machine busy
        tab.goto(address)
        wait_for(tab, f"() => ['ready', 'complete'].includes(({STATE})())")
        wait, size = tab.run(FIRST)
        waits.append(wait)
        assert 1e6 < size < 3e6
    assert min(waits) < 2000
    wait_for(tab, f"() => ({FRAME})() > 5")  # nobody pressed anything: the agent drives
    assert tab.run(PIXEL)[3] == 255

    tab.run("() => document.querySelector('#drive .stage').focus()")
    tab.key(ARROW_UP, True)  # whoever presses a key has the wheel
    wait_for(tab, f"() => ({ACTION})(1) === 0.5")
    assert tab.run("() => document.querySelector('[name=driver]:checked').value") == "you"
    tab.key(ARROW_UP, False)
    wait_for(tab, f"() => ({ACTION})(1) === 0")
    x, y = tab.run(MIDDLE, "#drive .pad .left")
    tab.touch(x, y, True)
    wait_for(tab, f"() => ({ACTION})(0) < -0.6")
    tab.touch(x, y, False)
    wait_for(tab, f"() => ({ACTION})(0) === 0")

    tab.run(CLICK, "#drive .step")  # it stands; and a tap counts for the next step
    before = tab.run(FRAME)
    tab.run(CLICK, "#drive .pad .down")
    tab.run(CLICK, "#drive .step")
    assert tab.run(FRAME) == before + 1 and tab.run(ACTION, 2) == 0.8
    wait_for(tab, f"() => ({STATE})() === 'complete'")
    assert tab.errors == tab.failed == []


# What needs no second browser


@pytest.fixture(scope="module")
def window(chromium):
    """New pages of one Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def page(window):
    page = window.new_page(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    page.set_default_timeout(30_000)
    expect.set_options(timeout=30_000)
    yield page
    page.context.close()


def shown(page, state="complete"):
    page.wait_for_selector(f"body[data-state={state}]")
    return page


def picture(page, selector):
    return page.locator(selector).evaluate("canvas => canvas.toDataURL()")


def slide(page, selector, value):
    page.locator(selector).fill(str(value))


@pytest.mark.parametrize("game", GAMES)
def test_all_demos_work_offline_and_ask_for_nothing(page, address, game):
    tab, asked = Chromium(page), []
    page.goto(f"{address}?game={game}")
    shown(page)
    assert page.locator("#drive .play-button").inner_text() == "Play"  # motion was not wanted
    page.on("request", lambda request: asked.append(request.url))
    page.context.set_offline(True)

    page.locator("#drive .step").click()
    slide(page, "#drive .tau", 0.1)
    page.locator("#drive .step").click()
    expect(page.locator("#drive .frame")).to_have_text("2")

    slide(page, "#beside .at", 20)
    expect(page.locator("#beside .mind-name")).to_contain_text("eyes open")
    page.locator("#beside .eyes").click()
    seen = picture(page, "#beside .mind")
    page.locator("#beside .play-button").click()
    expect(page.locator("#beside .play-button")).to_have_text("Play")  # once the recorded game is over
    expect(page.locator("#beside .mind-name")).to_have_text("eyes closed for 40 frames")
    assert picture(page, "#beside .mind") != seen
    page.locator("#beside .eyes").click()
    expect(page.locator("#beside .mind-name")).to_contain_text("eyes open")

    page.locator("#futures .go").click()
    expect(page.locator("#futures .said")).to_contain_text("frames on")
    tiles = [tile.evaluate("c => c.toDataURL()") for tile in page.locator("#futures canvas").all()]
    assert len(tiles) == 16 and len(set(tiles)) > 8

    painted = picture(page, "#sliders .painted")
    slide(page, "#sliders .walk", 1)
    expect(page.locator("#sliders .said")).to_contain_text("own z of frame")
    assert picture(page, "#sliders .painted") != painted
    painted = picture(page, "#sliders .painted")
    page.locator("#sliders .z input").first.press("Home")
    assert picture(page, "#sliders .painted") != painted
    page.locator("#sliders .into").click()
    expect(page.locator("#drive .frame")).to_have_text("0")
    assert picture(page, "#drive canvas.screen") == picture(page, "#sliders .painted")

    spread = []
    for tau in (0.1, 2):
        slide(page, "#mixture .tau", tau)
        spread.append(float(page.locator("#mixture .said").inner_text().split("±")[1].strip(" .")))
    assert spread[0] < spread[1] / 2  # cold draws lie together

    assert page.locator("#cheat tbody tr").count() >= 2
    page.locator("#cheat .fast").click()
    page.locator("#cheat .play-button").click()
    expect(page.locator("#cheat .hot-name")).not_to_contain_text(" 0 frames")

    page.locator("#look [value=now]").check()
    expect(page.locator("#look .said")).to_contain_text("listens most to")
    page.locator("#look .parts input").last.uncheck()
    expect(page.locator("#look .part-name")).to_contain_text("without h")
    assert asked == tab.errors == tab.failed == []
    kept = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie.length]")
    assert kept == [0, 0, 0]


def test_when_you_are_done_the_agent_drives_the_same_dream(page, address):
    page.goto(f"{address}?game=takecover")
    shown(page)
    page.locator("#drive [value=you]").check()
    page.evaluate("""() => { // who stands still does not live for long
      const said = document.querySelector("#drive .said"), step = document.querySelector("#drive .step");
      while (!said.textContent.startsWith("Over after")) step.click();
    }""")
    expect(page.locator("#drive .said")).to_contain_text("the agent lasts")


def test_one_demo_can_stand_alone_and_games_can_be_changed(page, address):
    page.goto(f"{address}?only=look&game=takecover")
    shown(page)
    assert sum(section.is_visible() for section in page.locator("main > section").all()) == 1
    expect(page.locator("#look .count")).to_have_text("1,088")
    page.locator("#games [value=carracing]").check()
    expect(page.locator("#look .count")).to_have_text("867")
    shown(page)


NAMELESS = """all => {
  const labels = (one) => [...(one.labels ?? [])].map((label) => label.textContent).join("").trim();
  const named = (one) => one.getAttribute("aria-label") || one.textContent.trim() || labels(one);
  return all.filter((one) => one.role !== "status" && !named(one)).map((one) => one.outerHTML);
}"""


@pytest.mark.parametrize("width", [320, 1200])
def test_everything_has_a_name_and_fits(page, address, width):
    page.set_viewport_size({"width": width, "height": 800})
    page.goto(address)
    shown(page)
    page.locator("#sliders .more").click()
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("button, input, select, canvas, [role]").evaluate_all(NAMELESS) == []


def cut(path):
    path.write_bytes(path.read_bytes()[:-1000])


def garble(path):
    path.write_bytes(b"\xff" * 200 + path.read_bytes()[200:])


def rename_format(path):
    said = path.read_bytes()
    assert b'\\"format\\": 1' in said
    path.write_bytes(said.replace(b'\\"format\\": 1', b'\\"format\\": 9'))


@pytest.mark.parametrize(
    ("name", "harm", "said"),
    [
        ("games.json", None, "data/games.json is missing"),
        ("games.json", garble, "data/games.json is damaged"),
        ("carracing/world.safetensors", None, "world.safetensors is missing"),
        ("carracing/world.safetensors", cut, "is not whole"),
        ("carracing/world.safetensors", garble, "is damaged"),
        ("carracing/world.safetensors", rename_format, "another version of this page"),
        ("carracing/record.safetensors", cut, "record.safetensors is damaged"),
        ("carracing/record.webp", garble, "record.webp is damaged"),
        ("carracing/eyes.safetensors", None, "eyes.safetensors is missing"),
    ],
)
def test_what_is_missing_or_damaged_is_named(page, site, address, name, harm, said):
    path, whole = site / "data" / name, site / "whole"
    shutil.move(path, whole)
    try:
        if harm:
            shutil.copy(whole, path)
            harm(path)
        page.goto(address)
        shown(page, "failed")
    finally:
        shutil.move(whole, path)
    notice = page.locator("#notice")
    expect(notice).to_contain_text(said)
    expect(notice).to_contain_text("python -m wmlib export-web")
    if "world" not in name and "games" not in name:  # what is there, works
        page.locator("#drive .step").click()
        expect(page.locator("#drive .frame")).to_have_text("1")


def test_without_a_canvas_it_says_so(page, address):
    page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null;")
    page.goto(address)
    expect(shown(page, "failed").locator("#notice")).to_contain_text("This browser draws no canvas")


@pytest.mark.parametrize(
    "how",
    ["delete window.WebAssembly;", "WebAssembly.Module = function () { throw new Error('not here'); };"],
)
def test_without_webassembly_it_goes_on_in_plain_javascript(page, address, how):
    page.add_init_script(how)
    page.goto(address)
    shown(page)
    page.locator("#drive .step").click()
    expect(page.locator("#drive .frame")).to_have_text("1")
    expect(page.locator("#about")).to_contain_text("computes in plain JavaScript")


def test_opened_from_the_disk_it_says_what_it_needs(page, site):
    page.goto((site / "index.html").as_uri())
    expect(page.locator("#notice")).to_contain_text("python -m http.server")
    expect(page.locator("#notice")).to_be_visible()


def test_the_policy_is_strict():
    page = (ROOT / "web" / "index.html").read_text(encoding="utf-8")
    (policy,) = [line for line in page.splitlines() if "Content-Security-Policy" in line]
    assert "default-src 'none'" in policy and "unsafe-inline" not in policy and "unsafe-eval'" in policy
    assert "'unsafe-eval'" not in policy and "http" not in policy.split("content=")[1]
    assert "style=" not in page and "onclick" not in page


def test_the_list_of_games_is_that_of_the_folders(site):
    listed = json.loads((site / "data" / "games.json").read_text(encoding="utf-8"))
    assert listed["games"] == list(GAMES)
