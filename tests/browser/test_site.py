"""Every page of the site in a real browser: nothing fails, nothing is asked of elsewhere, and demos run.

What can be told without a browser is in `tests/unit/test_site.py`.
"""

import shutil

import pytest
from lab import open_page
from playwright.sync_api import expect, sync_playwright

from web import Chromium, serve


@pytest.fixture(scope="module")
def whole(site, web, tmp_path_factory):
    """The site with what its demos read."""
    folder = shutil.copytree(site, tmp_path_factory.mktemp("site") / "site")
    shutil.copytree(web / "data", folder / "demo" / "data", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="module")
def address(whole):
    with serve(whole) as address:
        yield address


@pytest.fixture(scope="module")
def tab(chromium):
    with sync_playwright() as playwright, open_page(playwright, chromium) as page:
        yield Chromium(page)


def test_every_page_opens(whole, address, tab):
    asked = []
    tab.page.on("request", lambda request: asked.append(request.url))
    pages = [path for path in whole.rglob("*.html") if not {"_static", "demo"} & set(path.parts)]
    assert len(pages) > 25
    for path in sorted(pages):
        tab.goto(f"{address}{path.relative_to(whole).as_posix()}")
        assert tab.page.locator("h1:visible").count(), path
        assert tab.errors == tab.failed == [], path
        pictures = "all => all.filter((one) => one.complete && !one.naturalWidth).map((one) => one.src)"
        assert tab.page.locator("article img").evaluate_all(pictures) == [], path
    assert {url for url in asked if not url.startswith((address, "blob:", "data:"))} == set()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_demo_runs_where_a_widget_was(address, tab, scheme):
    """As high as what is in it, and as light or dark as its page."""
    tab.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    tab.goto(f"{address}notebooks/02_vae.html")
    frame = tab.page.locator(".demo iframe").first
    frame.scroll_into_view_if_needed()
    inside = frame.content_frame
    expect(inside.locator("body")).to_have_attribute("data-state", "complete", timeout=60_000)
    expect(inside.locator("#sliders h2")).to_be_visible()
    expect(inside.locator("#drive")).to_be_hidden()
    height = inside.locator("body").evaluate("body => body.scrollHeight")
    assert abs(frame.bounding_box()["height"] - height) < 8
    dark = inside.locator("body").evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
    assert dark == (scheme == "dark")
    assert tab.errors == tab.failed == []


def test_a_demo_follows_the_pages_own_switch(address, tab):
    # A scheme that is emulated would hold for all that the page frames.
    tab.page.emulate_media(color_scheme="null", reduced_motion="reduce")
    tab.goto(f"{address}notebooks/02_vae.html")
    tab.page.evaluate("document.documentElement.dataset.theme = 'dark'")
    frame = tab.page.locator(".demo iframe").first
    frame.scroll_into_view_if_needed()
    body = frame.content_frame.locator("body")
    expect(body).to_have_attribute("data-state", "complete", timeout=60_000)
    assert body.evaluate("() => matchMedia('(prefers-color-scheme: dark)').matches")
