"""Write the repository's address wherever it stands: what `make address URL=...` runs.

It stands in pyproject.toml, in the README's links to the site, and in the cell by which every notebook
is set up on Colab. Without a URL the present one is kept, and notebooks that lack the cell get it.
"""

import re
import sys
import tomllib
from pathlib import Path

import nbformat

ROOT = Path(__file__).parents[1]
TEXTS = ("pyproject.toml", "README.md")
CELL = """\
# @title On Google Colab, run this cell first. Anywhere else it does nothing
import sys

if "google.colab" in sys.modules:
    ![ -d ~/wmlib ] || git clone --quiet --depth 1 {repository} ~/wmlib
    %run ~/wmlib/notebooks/colab.py"""
TAGS = ["colab", "hide-input", "skip-execution"]


def notebooks() -> list[Path]:
    return sorted((ROOT / "notebooks").rglob("[0-9]*.ipynb"))


def addresses() -> dict[str, str]:
    """What pyproject.toml says: Repository and Homepage."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return tomllib.loads(text)["project"]["urls"]


def set_up_cell(repository: str):
    """The folded cell, as Colab, JupyterLab, nbval and the site's builder understand it."""
    cell = nbformat.v4.new_code_cell(CELL.format(repository=repository), id="colab")
    cell.metadata = {"cellView": "form", "jupyter": {"source_hidden": True}, "tags": TAGS}
    return cell


def main(url: str | None) -> None:
    old = addresses()
    new = dict(old)
    if url:
        found = re.fullmatch(r"https://github\.com/([\w-]+)/([\w.-]+?)(?:\.git)?/?", url)
        if not found:
            sys.exit(f"error: {url} is not of the form https://github.com/OWNER/NAME")
        owner, name = found.groups()
        new = {
            "Repository": f"https://github.com/{owner}/{name}",
            "Homepage": f"https://{owner.lower()}.github.io/{name}",
        }
    for path in (ROOT / text for text in TEXTS):
        text = path.read_text(encoding="utf-8")
        for key, address in old.items():
            text = text.replace(address, new[key])
        path.write_text(text, encoding="utf-8")
    for path in notebooks():
        notebook = nbformat.read(path, as_version=4)
        cells = [cell for cell in notebook.cells if "colab" not in cell.metadata.get("tags", [])]
        notebook.cells = [cells[0], set_up_cell(new["Repository"]), *cells[1:]]
        nbformat.write(notebook, path)


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else None)
