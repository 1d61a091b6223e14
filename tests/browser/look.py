"""Look at the things to touch in a real browser, as a reader does: what `make look` runs.

Writes pictures of each into notebooks/images, in light and in dark, for the README and the notebooks,
and prints how fast they are. The shipped agent plays; the cells are those of the notebooks.
"""

import statistics
import tempfile
from pathlib import Path

from lab import CHROMIUM, ROOT, address_of, notebook, open_and_run, open_page, start_lab
from playwright.sync_api import Locator, expect, sync_playwright

IMAGES = ROOT / "notebooks" / "images"
CELLS = (
    """
import numpy as np

from wmlib.agent import load_agent
from wmlib.data.episodes import EpisodeStore
from wmlib.runtime.files import REFERENCE
from wmlib.training import encode_store
from wmlib.widgets.dream_player import DreamPlayer
from wmlib.widgets.latent_explorer import LatentExplorer
from wmlib.widgets.mixture_explorer import MixtureExplorer

agent, doom = load_agent(REFERENCE / "carracing"), load_agent(REFERENCE / "takecover")
store = EpisodeStore(REFERENCE.parent / "sample")
frames = np.concatenate([store.frames(seed)[::5] for seed in store.seeds])
LatentExplorer(agent.vae, frames, seed=2)
""",
    "MixtureExplorer(agent.vae, agent.mdnrnn, encode_store(agent.vae, store), store)",
    "DreamPlayer(agent, where='both', seed=1_500_002)",
    "DreamPlayer(doom, where='both', seed=1_500_002)",
)

WATCH = """image => {
  window.waits = [];
  let pressed = null;
  addEventListener("keydown", () => { pressed = performance.now(); }, true);
  const changed = () => {
    const began = pressed;
    pressed = null; // one wait for each press
    if (began !== null) requestAnimationFrame(() => window.waits.push(performance.now() - began));
  };
  new MutationObserver(changed).observe(image, { attributes: true, attributeFilter: ["src"] });
}"""


def slider_to_picture(slider: Locator, picture: Locator, presses: int = 40) -> list[float]:
    """Milliseconds from each press of a key on a slider to the frame that shows the new picture."""
    page = slider.page
    picture.evaluate(WATCH)
    slider.focus()
    for n in range(presses):
        page.keyboard.press("ArrowRight" if n % 16 < 8 else "ArrowLeft")
        page.wait_for_function("n => window.waits.length > n", arg=n)
    return page.evaluate("window.waits")


def frames_a_second(player: Locator, where: str, upto: int = 90) -> str:
    """What the player's counter says of its speed, once it has played for a while."""
    player.get_by_role("group", name="world").get_by_role("radio", name=where).check()
    expect(player.get_by_role("status")).to_have_text("ready", timeout=30_000)
    counter = player.locator(".counter").element_handle()
    reached = "([counter, n]) => +counter.textContent.split(' ')[1] >= n"
    player.get_by_role("button", name="play", exact=True).click()
    player.page.wait_for_function(reached, arg=[counter, upto])
    said = player.locator(".counter").inner_text()
    player.get_by_role("button", name="pause", exact=True).click()
    return next(part for part in said.split(" · ") if part.endswith("frames/s"))


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as folder,
        start_lab(Path(folder) / "lab") as lab,
        sync_playwright() as playwright,
        open_page(playwright, CHROMIUM) as page,
        notebook(*CELLS) as path,
    ):
        errors = open_and_run(page, address_of(lab, path))
        latent, _, car, doom = page.locator(".jp-OutputArea-output > .widget-vbox").all()

        page.set_viewport_size({"width": 1300, "height": 1500})  # room for each as a whole
        page.wait_for_timeout(5000)  # JupyterLab goes on loading for a while
        waits = slider_to_picture(latent.get_by_role("slider").nth(1), latent.locator("img").nth(1))
        median, slow = statistics.median(waits), sorted(waits)[int(0.95 * len(waits))]
        print(f"latent explorer: slider to picture {median:.0f} ms (median), 95 % within {slow:.0f} ms")

        for task, dream in (("car", car), ("doom", doom)):
            player = dream.locator(".wmlib-player")
            for where in ("dream", "game", "both"):
                upto = 480 if (task, where) == ("doom", "both") else 90  # until M is alarmed
                speed = frames_a_second(player, where, upto)
                print(f"dream player, {task}, {where}: {speed} (it holds itself at 30)")
        names = ("latent_explorer", "mixture_explorer", "dream_player", "dream_player_doom")
        for scheme, ending in (("light", ".png"), ("dark", "_dark.png")):
            page.emulate_media(color_scheme=scheme)
            is_light = str(scheme == "light").lower()
            expect(page.locator(f"body[data-jp-theme-light={is_light}]")).to_have_count(1)
            page.wait_for_timeout(1000)
            for name, thing in zip(names, page.locator(".wmlib").all(), strict=True):
                thing.screenshot(path=IMAGES / f"{name}{ending}")
        assert not errors, errors


if __name__ == "__main__":
    main()
