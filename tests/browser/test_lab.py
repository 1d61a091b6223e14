"""Notebook 00 as a reader meets it: opened by `make lab`, run, and touched."""

import urllib.error
import urllib.request
from urllib.parse import urlsplit

import pytest
from lab import address_of, open_and_run, wait_for_change


def test_without_its_token_the_lab_stays_shut(lab_address):
    parts = urlsplit(lab_address)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(f"{parts.scheme}://{parts.netloc}/api/contents")


def test_the_first_notebook_runs_and_its_films_move(page, lab_address):
    first = "notebooks/00_start_here.ipynb"
    assert first in lab_address
    errors = open_and_run(page, address_of(lab_address, first))
    stderr = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.stderr']")
    assert stderr.count() == 0
    assert page.locator(".jp-RenderedImage img").count() >= 6

    film = page.locator(".widget-vbox").first
    picture = film.locator("img")
    before = picture.get_attribute("src")
    film.locator(".noUi-handle").first.focus()
    page.keyboard.press("End")
    wait_for_change(picture, before)
    assert "frame 0:" not in film.locator(".widget-label").last.inner_text()
    assert errors == []
