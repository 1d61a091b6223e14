"""Notebook 00 as a reader meets it: opened by `make lab`, run, and touched."""

import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest

PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)"


def test_without_its_token_the_lab_stays_shut(lab_address):
    parts = urlsplit(lab_address)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{parts.scheme}://{parts.netloc}/api/contents")


def test_the_first_notebook_runs_and_its_films_move(page, lab_address, tmp_path):
    page.goto(lab_address)
    # What is asked of it before its kernel is there, JupyterLab forgets.
    page.wait_for_selector(".jp-StatusBar-Widget >> text=/Python 3.*Idle/", timeout=120_000)
    # The notebook comes with outputs; without them, what we see below is what this run made.
    page.get_by_role("menuitem", name="Edit").click()
    page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
    page.wait_for_function(f"() => {PROMPTS}.every(text => !/\\d/.test(text))")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # Every cell has its number: none is waiting, none was left out.
    page.wait_for_function(f"() => {PROMPTS}.every(text => /\\[\\d+\\]/.test(text))", timeout=300_000)
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    assert page.locator(".jp-RenderedText pre:has-text('Traceback')").count() == 0
    assert errors.count() == 0
    assert page.locator(".jp-RenderedImage img").count() >= 6

    film = page.locator(".widget-vbox").first
    picture = film.locator("img")
    before = picture.get_attribute("src")
    film.locator(".noUi-handle, .slider-container .ui-slider-handle").first.focus()
    page.keyboard.press("End")
    page.wait_for_function(
        "([image, before]) => image.src !== before", arg=[picture.element_handle(), before]
    )
    assert "frame 0:" not in film.locator(".widget-label").last.inner_text()
