"""The site of `make site`: links, pictures and formulas hold, and it loads nothing from elsewhere.

`tests/browser/test_site.py` opens its pages.
"""

import importlib.util
import json
import shutil
import tomllib
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
REPOSITORY = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
LESSONS = sorted((ROOT / "notebooks").glob("*.ipynb"))
NOTEBOOKS = [*LESSONS, *sorted((ROOT / "notebooks" / "solutions").glob("*.ipynb"))]


class Page(HTMLParser):
    """What a page leads to, what it loads, and where in it a link can lead."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loaded, self.places, self.tags, self.text = [], [], set(), set(), ""
        self.code = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.add(tag)
        self.places.add(found.get("id"))
        self.code += tag in ("pre", "code", "script", "style", "annotation")
        if tag == "a" and found.get("href"):
            self.links.append(found["href"])
        elif tag in ("link", "script", "img", "iframe", "source", "video"):
            self.loaded += [found[name] for name in ("href", "src", "srcset") if found.get(name)]

    def handle_endtag(self, tag):
        self.code -= tag in ("pre", "code", "script", "style", "annotation")

    def handle_data(self, data):
        if not self.code:
            self.text += data


@pytest.fixture(scope="module")
def pages(site):
    found = [path for path in site.rglob("*.html") if "_static" not in path.parts]
    return {path: Page(path.read_text(encoding="utf-8")) for path in found}


def test_every_page_and_notebook_is_on_it(site, pages):
    assert len(NOTEBOOKS) >= 14
    for path in NOTEBOOKS:
        assert (site / path.relative_to(ROOT)).with_suffix(".html") in pages
    for name in ("index", "README", "notebooks/glossary", "docs/api", "benchmarks/README", "demo/index"):
        assert site / f"{name}.html" in pages
    assert set(pages[site / "index.html"].links) == set(pages[site / "README.html"].links)


def test_all_that_it_links_to_or_loads_is_there(site, pages):
    lost, places = [], {path: page.places for path, page in pages.items()}
    for path, page in pages.items():
        for target in page.links + page.loaded:
            address = urlsplit(target)
            if address.scheme in ("http", "https"):
                if target in page.loaded and not target.startswith("data:"):
                    lost.append((path, target, "is loaded from elsewhere"))
                continue
            if address.scheme == "data":
                continue
            there = (path.parent / unquote(address.path)).resolve() if address.path else path
            if not there.is_file():
                lost.append((path, target, "is not there"))
            elif address.fragment and unquote(address.fragment) not in places.get(
                there, {address.fragment}
            ):
                lost.append((path, target, "has no such place"))
    assert not lost, lost


def test_links_out_of_it_lead_to_files_of_the_repository(site, pages):
    linked = {
        link for page in pages.values() for link in page.links if link.startswith(REPOSITORY + "/")
    }
    assert len(linked) >= 5
    for link in linked:
        kind, _, name = link.removeprefix(REPOSITORY + "/").partition("/main/")
        there = ROOT / name.partition("#")[0]
        assert there.is_dir() if kind == "tree" else there.is_file(), link


def test_formulas_are_drawn_without_a_script(site, pages):
    assert all("math" in pages[site / f"notebooks/{p.stem}.html"].tags for p in LESSONS[:6])
    for path, page in pages.items():
        assert "\\(" not in page.text and "$$" not in page.text and "\\frac" not in page.text, path
        assert not any("mathjax" in name.lower() for name in page.loaded), path


def is_widget(cell):
    return any("widget-view" in kind for out in cell.get("outputs", ()) for kind in out.get("data", ()))


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_a_notebooks_page(path, site, pages):
    """It can be opened on Colab and downloaded; and a demo stands wherever a widget did."""
    page = pages[site / f"notebooks/{path.stem}.html"]
    owner = REPOSITORY.removeprefix("https://github.com/")
    assert (
        f"https://colab.research.google.com/github/{owner}/blob/main/notebooks/{path.name}" in page.links
    )
    assert f"../_sources/notebooks/{path.name}" in page.links
    downloaded = nbformat.read(site / "_sources/notebooks" / path.name, as_version=4)
    assert downloaded == nbformat.read(path, as_version=4)
    demos = [name for name in page.loaded if "demo/index.html" in name]
    assert len(demos) == sum(map(is_widget, downloaded.cells))
    ids = Page((ROOT / "web" / "index.html").read_text(encoding="utf-8")).places
    game = "takecover" if path.stem.startswith("06") else "carracing"
    for demo in demos:
        query = dict(part.split("=") for part in urlsplit(demo).query.split("&"))
        assert query["only"] in ids and query["game"] == game
    assert "widget-view" not in json.dumps([*page.links, *page.loaded])


def test_all_notebooks_are_set_up_on_colab_by_one_cell():
    sources = set()
    for path in NOTEBOOKS:
        cells = nbformat.read(path, as_version=4).cells
        assert "colab" in cells[1].metadata.tags, f"python docs/address.py gives {path.name} its cell"
        assert cells[1].metadata.jupyter.source_hidden and cells[1].metadata.cellView == "form"
        assert not cells[1].outputs and sum("colab" in c.metadata.get("tags", []) for c in cells) == 1
        sources.add(cells[1].source)
    (source,) = sources
    assert REPOSITORY in source and (ROOT / "notebooks" / "colab.py").is_file()
    assert "~/wmlib/notebooks/colab.py" in source


def load(path):
    """A script, as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_colab_gets_our_pins_and_keeps_its_own_notebook(monkeypatch):
    calls = []

    def run(words, check):
        words = list(map(str, words))
        if "--constraint" in words:  # the file is gone after the call
            words.append(Path(words[words.index("--constraint") + 1]).read_text())
        calls.append(words)

    colab = load(ROOT / "notebooks" / "colab.py")
    monkeypatch.setattr(colab.subprocess, "run", run)
    pins = colab.install()
    wanted, package = calls
    assert {"torch", "vizdoom", "anywidget"} <= set(wanted) and package[-1] == str(ROOT)
    assert f"numpy=={pins['numpy']}" in wanted[-1].splitlines()
    for theirs in ("ipykernel", "ipython", "ipywidgets", "jupyterlab", "tornado", "traitlets"):
        assert theirs not in pins and not any(word.startswith(theirs) for word in wanted), theirs


@pytest.fixture
def address(tmp_path):
    """docs/address.py, in a small repository."""
    for name in ("docs/address.py", "pyproject.toml", "README.md", "notebooks/00_start_here.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    return load(tmp_path / "docs" / "address.py")


def test_the_address_is_written_wherever_it_stands(address, tmp_path):
    before = {path: path.read_text() for path in tmp_path.rglob("*.*") if path.suffix != ".pyc"}
    address.main(None)
    assert {path: path.read_text() for path in before} == before
    address.main("https://github.com/Some-One/worlds.git")
    said = {path.name: path.read_text() for path in before}
    assert 'Repository = "https://github.com/Some-One/worlds"' in said["pyproject.toml"]
    assert "(https://some-one.github.io/worlds/demo/)" in said["README.md"]
    assert "--depth 1 https://github.com/Some-One/worlds ~/wmlib" in said["00_start_here.ipynb"]
    assert not [name for name, text in said.items() if REPOSITORY in text]
    with pytest.raises(
        SystemExit, match=r"error: elsewhere is not of the form https://github.com/OWNER"
    ):
        address.main("elsewhere")
