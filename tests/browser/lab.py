"""What a reader does in JupyterLab: open a notebook, run it, look for what went wrong."""

from urllib.parse import parse_qs, urlsplit

PROMPTS = "[...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(p => p.textContent)"


def address_of(lab_address: str, name: str) -> str:
    parts = urlsplit(lab_address)
    token = parse_qs(parts.query)["token"][0]
    return f"{parts.scheme}://{parts.netloc}/lab/tree/notebooks/{name}.ipynb?token={token}"


def open_and_run(page, address: str) -> list[str]:
    """Run all cells of a notebook anew, and wait for the last one.

    Returns:
        a list that collects the errors of the browser's console.
    """
    errors: list[str] = []

    def note(said) -> None:
        # JupyterLab asks its server for files that may be missing, and goes on without them.
        if said.type == "error" and not said.text.startswith("Failed to load resource"):
            errors.append(said.text)

    page.on("console", note)
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.goto(address)
    # What is asked of it before its kernel is there, JupyterLab forgets.
    page.wait_for_selector(".jp-StatusBar-Widget >> text=/Python 3.*Idle/", timeout=120_000)
    # The notebook comes with outputs; without them, what is seen below is what this run made.
    page.get_by_role("menuitem", name="Edit").click()
    page.get_by_role("menuitem", name="Clear Outputs of All Cells").click()
    page.wait_for_function(f"() => {PROMPTS}.every(text => !/\\d/.test(text))")
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    # Every cell has its number: none is waiting, none was left out.
    page.wait_for_function(f"() => {PROMPTS}.every(text => /\\[\\d+\\]/.test(text))", timeout=600_000)
    assert page.locator(".jp-RenderedText pre:has-text('Traceback')").count() == 0
    return errors


def wait_for_change(page, picture, before: str) -> None:
    """Until an <img> shows something else."""
    page.wait_for_function(
        "([image, before]) => image.src !== before", arg=[picture.element_handle(), before]
    )
