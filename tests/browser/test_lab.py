"""Notebooks as a reader meets them: opened in JupyterLab, run from top to bottom, touched."""

import pytest

from .conftest import TOKEN


def run_all(page, lab, name):
    """Open a notebook, run it, and wait until the kernel has nothing left to do."""
    page.errors.clear()
    page.goto(f"{lab}/lab/workspaces/test/tree/notebooks/{name}?reset&token={TOKEN}")
    page.wait_for_selector(".jp-NotebookPanel .jp-Cell", timeout=60_000)
    page.wait_for_selector("[data-status='idle'], .jp-Notebook-ExecutionIndicator", timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Restart Kernel and Run All Cells").click()
    page.get_by_role("button", name="Confirm Kernel Restart").click()
    cells = page.locator(".jp-CodeCell")
    prompt = cells.last.locator(".jp-InputPrompt")
    page.wait_for_function("n => document.querySelectorAll('.jp-CodeCell').length >= n", arg=5)
    for _ in range(1200):
        text = prompt.inner_text()
        if text.strip("[]: ").isdigit() and "*" not in page.locator(".jp-InputPrompt").all_inner_texts():
            starred = [t for t in page.locator(".jp-InputPrompt").all_inner_texts() if "*" in t]
            if not starred:
                break
        page.wait_for_timeout(250)
    else:
        pytest.fail(f"{name} did not finish")
    errors = page.locator(".jp-OutputArea-output[data-mime-type='application/vnd.jupyter.error']")
    assert errors.count() == 0, errors.first.inner_text()


def test_start_here_runs_and_its_film_can_be_played(page, lab):
    run_all(page, lab, "00_start_here.ipynb")
    picture = page.locator(".jupyter-widgets img.widget-image, img.jupyter-widgets").first
    picture.scroll_into_view_if_needed()
    before = picture.get_attribute("src"), picture.screenshot()
    handle = page.locator(".widget-slider .noUi-handle").first
    handle.focus()
    for _ in range(5):
        page.keyboard.press("ArrowRight")
    page.wait_for_function(
        "src => document.querySelector('img.jupyter-widgets, img.widget-image').src !== src",
        arg=before[0],
        timeout=20_000,
    )
    assert picture.screenshot() != before[1]
    assert page.errors == []
