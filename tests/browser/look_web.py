"""The page in `web/` as a reader meets it: the moving picture of the README, and how it looks elsewhere.

`make look` runs it. The moving picture goes to notebooks/images/demo.webp; pictures of the whole page,
on a phone and on a desk, by day and by night, go to runs/look. The games are those of `make web`.
"""

import io
import sys

from lab import CHROMIUM, ROOT
from PIL import Image
from playwright.sync_api import Page, sync_playwright

from web import serve

FILM = ROOT / "notebooks" / "images" / "demo.webp"
PICTURES = ROOT / "runs" / "look"
SIZES = {"phone": (390, 844), "desk": (1280, 900)}
FRAMES, STRIDE, PAUSE = 48, 3, 100
"""Pictures; steps of the dream between two; milliseconds that each stays."""


def wait_until_whole(page: Page) -> None:
    page.wait_for_selector("body[data-state=complete]", timeout=120_000)


def film(page: Page, address: str) -> None:
    """The agent in its dream. It is stepped, so that a slow machine makes the same film."""
    page.goto(f"{address}?only=drive&game=carracing")
    wait_until_whole(page)
    stage, step = page.locator("#drive"), page.locator("#drive .step")
    pictures = []
    for _ in range(FRAMES):
        step.evaluate("(step, n) => { for (let i = 0; i < n; i++) step.click(); }", STRIDE)
        picture = Image.open(io.BytesIO(stage.screenshot())).convert("RGB")
        pictures.append(picture)
    first, *rest = pictures
    first.save(FILM, save_all=True, append_images=rest, duration=PAUSE, loop=0, quality=70, method=3)
    print(
        f"{FILM.relative_to(ROOT)}: {FILM.stat().st_size / 1e6:.2f} MB, {first.width} x {first.height}"
    )


def main() -> None:
    if not (ROOT / "web" / "data" / "games.json").is_file():
        sys.exit("error: web/data is missing; make web fills it")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with serve(ROOT / "web") as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 760, "height": 600}, reduced_motion="reduce")
        film(page, address)
        for size, (width, height) in SIZES.items():
            for scheme in ("light", "dark"):
                page = browser.new_page(
                    viewport={"width": width, "height": height},
                    color_scheme=scheme,
                    reduced_motion="reduce",
                )
                page.goto(address)
                wait_until_whole(page)
                page.locator("#futures .go").click()
                page.locator("#drive .step").click()
                page.screenshot(path=PICTURES / f"{size}_{scheme}.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
