"""How pages and notebooks become a site, with the demos of `web/` in it: what `make site` reads.

Nothing is executed: notebooks show the outputs that they came with. Nothing on the site is loaded from
elsewhere, formulas included: they are MathML, which browsers draw themselves.
"""

import json
import os
import posixpath
import re
import shutil
import tomllib
from pathlib import Path

import math_core
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import SphinxError

ROOT = Path(__file__).parents[1]
HOME = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["urls"]
REPOSITORY = HOME["Repository"]
if "GITHUB_REPOSITORY" in os.environ:  # who publishes a copy of their own wants links to it
    REPOSITORY = "https://github.com/" + os.environ["GITHUB_REPOSITORY"]
OWNER, NAME = REPOSITORY.split("/")[-2:]
BRANCH = "main"

project = "World models, to learn from"
author = "The wmlib authors"
extensions = ["myst_nb"]
root_doc = "README"
include_patterns = [
    "*.md", "benchmarks/*.md", "data/README.md", "data/*/README.md", "docs/*.md", "notebooks/*.ipynb",
    "notebooks/*.md", "notebooks/solutions/*.ipynb", "tests/faults/README.md", "web/README.md",
]  # fmt: skip
exclude_patterns = [".*", "build", "runs", "site", "**/.ipynb_checkpoints"]
nb_execution_mode = "off"
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4

html_theme = "sphinx_book_theme"
html_title = project
html_favicon = "../web/icon.svg"
html_static_path = ["site/site.css", "site/site.js"]
html_css_files = ["site.css"]
html_js_files = [("site.js", {"defer": "defer"})]
html_copy_source = True
html_math_renderer = "mathml"
html_context = {"default_mode": "auto"}  # the reader's
nb_code_prompt_show = "Set up on Colab: show the cell"  # no other cell is folded
nb_code_prompt_hide = "Set up on Colab: hide the cell"
html_theme_options = {
    "repository_url": REPOSITORY,
    "repository_branch": BRANCH,
    "use_repository_button": True,
    "launch_buttons": {"colab_url": "https://colab.research.google.com"},
    "show_toc_level": 2,
    "home_page_in_toc": True,
    "navbar_persistent": [],
}

CONTENTS = """

```{toctree}
:hidden:
:caption: The course
:glob:
notebooks/0*
notebooks/glossary
```

```{toctree}
:hidden:
:caption: Solutions
:glob:
notebooks/solutions/*
```

```{toctree}
:hidden:
:caption: To look things up
:glob:
docs/*
benchmarks/README
data/README
data/*/README
web/README
CONTRIBUTING
tests/faults/README
THIRD_PARTY
```
"""
DEMOS = {
    "LatentExplorer": ("sliders", "Sliders through z"),
    "MixtureExplorer": ("mixture", "What M expects next"),
    "DreamPlayer": ("drive", "The dream, to play in"),
    "Film": ("beside", "A recorded game, beside what the agent has in mind"),
}
"""Which demo of `web/` takes the place of a widget. A cell's tag says so too: `demo:cheat`."""
TITLES = dict(DEMOS.values()) | {
    "cheat": "A controller that cheats its dream",
    "futures": "Sixteen futures",
    "look": "Into C",
}
WIDGET = "application/vnd.jupyter.widget-view+json"
PICTURES = (".png", ".gif", ".webp")
LINK = re.compile(r"(?<=\]\()(?!https?:|#|mailto:)([^)\s#]+)(#[\w-]+)?(?=\))")


def demo(cell: dict, game: str, up: str) -> str | None:
    """What the page shows in place of a cell's widget, if it has one."""
    if not any(WIDGET in output.get("data", {}) for output in cell.get("outputs", ())):
        return None
    tagged = [tag for tag in cell["metadata"].get("tags", []) if tag.startswith("demo:")]
    made = re.findall(r"\b(\w+)\(", "".join(cell["source"]))
    known = [DEMOS[name][0] for name in made if name in DEMOS]
    if not tagged and not known:
        raise SphinxError(
            f"DEMOS in docs/conf.py has no demo for a widget; put it there, or tag its cell demo:drive "
            f"(or {', '.join(TITLES)}): {''.join(cell['source'])}"
        )
    name = tagged[0].removeprefix("demo:") if tagged else known[-1]
    page = f"{up}demo/index.html"
    return (
        '<div class="demo"><p>In a running notebook a widget stands here. This page has a demo in its '
        "place, with the agent that comes with the package "
        f'(<a href="{page}?game={game}">all demos</a>).</p><iframe loading="lazy" '
        f'title="{TITLES[name]}" src="{page}?only={name}&amp;game={game}"></iframe></div>'
    )


def opening(docname: str, up: str) -> dict:
    """A notebook's line of links, as a cell."""
    colab = f"https://colab.research.google.com/github/{OWNER}/{NAME}/blob/{BRANCH}/{docname}.ipynb"
    words = (
        f'<p class="open-it"><a href="{colab}">Open it on Colab</a>'
        f'<a href="{up}_sources/{docname}.ipynb" download>Download it</a>'
        "<span>The folded cell below sets it up there. This was tested with Colab's releases in a fresh "
        "virtual environment, by <code>tests/notebooks/colab_run.py</code>, and not on Colab itself."
        "</span></p>"
    )
    return {"cell_type": "markdown", "id": "open-it", "metadata": {}, "source": words}


def prepare(app: Sphinx, docname: str, source: list[str]) -> None:
    """A page as it is read: links out of the site lead to the repository, and widgets are replaced."""
    folder, up = posixpath.dirname(docname), "../" * docname.count("/")

    def lead(found: re.Match) -> str:
        target = posixpath.normpath(posixpath.join(folder, found[1]))
        page, end = posixpath.splitext(target)
        there = ROOT / target
        if page in app.env.found_docs or end in PICTURES or not there.exists():
            return found[0]
        return f"{REPOSITORY}/{'tree' if there.is_dir() else 'blob'}/{BRANCH}/{target}{found[2] or ''}"

    text = source[0].replace(HOME["Repository"], REPOSITORY)
    if app.env.doc2path(docname).suffix != ".ipynb":
        source[0] = LINK.sub(lead, text) + (CONTENTS if docname == root_doc else "")
        return
    notebook = json.loads(text)
    game = "takecover" if 'task=\\"takecover\\"' in text else "carracing"
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = LINK.sub(lead, "".join(cell["source"]))
        elif shown := demo(cell, game, up):
            html = {"output_type": "display_data", "metadata": {}, "data": {"text/html": shown}}
            cell["outputs"] = [html]
    notebook["cells"].insert(1, opening(docname, up))
    source[0] = json.dumps(notebook)


def lead_to_pages(app: Sphinx, tree: nodes.document) -> None:
    """Addresses of this very site, which the README needs in full, become paths in it."""
    up = "../" * app.env.docname.count("/")
    for link in tree.findall(nodes.reference):
        if link.get("refuri", "").startswith(HOME["Homepage"]):
            path = link["refuri"].removeprefix(HOME["Homepage"]).lstrip("/")
            name = path.partition("?")[0]
            link["refuri"] = up + (path if name and not name.endswith("/") else f"{name}index.html")


def formula(translator, node: nodes.math | nodes.math_block) -> None:
    """LaTeX to MathML, now: what it does not know is an error of the build."""
    block = isinstance(node, nodes.math_block)
    try:
        said = math_core.LatexToMathML(fancy_error=False, annotation=True).convert_with_local_state(
            node.astext(), displaystyle=block
        )
    except math_core.LatexError as error:
        raise SphinxError(f"{translator.builder.current_docname}: {node.astext()}: {error}") from error
    translator.body.append(f'<div class="formula">{said}</div>' if block else said)
    raise nodes.SkipNode


def finish(app: Sphinx, error: Exception | None) -> None:
    """Beside the pages: a first one, the demos, the notebooks to download, and pictures that the first
    page names in HTML, one for the day and one for the night."""
    if error:
        return
    out = Path(app.outdir)
    shutil.copy(out / "README.html", out / "index.html")
    shutil.copytree(ROOT / "web", out / "demo", dirs_exist_ok=True)
    shutil.copytree(ROOT / "notebooks/images", out / "notebooks/images", dirs_exist_ok=True)
    for path in (out / "_sources").rglob("*.ipynb"):
        text = path.read_text(encoding="utf-8").replace(HOME["Repository"], REPOSITORY)
        path.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> None:
    app.connect("source-read", prepare)
    app.connect("doctree-read", lead_to_pages)
    app.connect("build-finished", finish)
    app.add_html_math_renderer(
        "mathml", inline_renderers=(formula, None), block_renderers=(formula, None)
    )
