"""The rules that every notebook keeps: limits, outputs, and taught code that is the package's code."""

import ast
import inspect
import pkgutil
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import nbformat
import pytest

from studies.claims.__main__ import STUDIES

ROOT = Path(__file__).parents[2] / "notebooks"
LESSONS = sorted(ROOT.glob("*.ipynb"))
ALL = [*LESSONS, *sorted((ROOT / "solutions").glob("*.ipynb"))]
TEXTS = [
    ROOT.parent / name
    for name in (
        "README.md",
        "CONTRIBUTING.md",
        "data/README.md",
        "data/reference/README.md",
        "benchmarks/README.md",
        "tests/faults/README.md",
        "docs/api.md",
        "docs/results.md",
        "notebooks/glossary.md",
    )
]


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    """All but the one for Colab, which is never run here."""
    code = [cell for cell in read(path).cells if cell.cell_type == "code"]
    return [cell for cell in code if "colab" not in cell.metadata.get("tags", [])]


by_name = pytest.mark.parametrize("path", ALL, ids=lambda p: str(p.relative_to(ROOT)))


def test_there_are_lessons_and_the_first_is_where_make_lab_opens():
    assert LESSONS[0].name == "00_start_here.ipynb"


def test_every_lesson_has_solutions():
    for lesson in LESSONS:
        assert (ROOT / "solutions" / lesson.name).exists(), f"{lesson.name} has no solutions"


def exercises(path):
    """Number of an exercise -> how it is put, without hints."""
    cells = [cell.source for cell in read(path).cells if cell.source.startswith("**Exercise ")]
    return {text.split("**")[1]: text.split("\n\n<details>")[0] for text in cells}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_its_solutions_answer_what_was_asked(lesson):
    asked = exercises(lesson)
    assert 3 <= len(asked) <= 4
    assert exercises(ROOT / "solutions" / lesson.name) == asked
    for cell in read(lesson).cells:
        if cell.source.startswith("**Exercise "):
            assert re.match(r"\*\*Exercise \d\*\* \((easy|medium|hard), \d+ minutes?\)\.", cell.source)
            assert "<summary>Hint</summary>" in cell.source


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_its_recall_asks_what_a_section_of_it_answers(lesson):
    texts = [cell.source for cell in read(lesson).cells if cell.cell_type == "markdown"]
    sections = set(re.findall(r"^## (\d+) ·", "\n".join(texts), re.MULTILINE))
    (recall,) = [text for text in texts if text.startswith("## Recall")]
    _, *parts = re.split(r"^\*\*\d\.\*\* ", recall, flags=re.MULTILINE)
    assert 3 <= len(parts) <= 5
    for part in parts:
        asked, _, answer = part.partition("\n\n<details><summary>Answer</summary>\n\n")
        pointed = re.findall(r"sections? (\d+)(?: and (\d+))?|; section (\d+)", answer)
        assert "?" in asked and pointed and answer.strip().endswith("</details>"), asked
        assert {number for numbers in pointed for number in numbers} - {""} <= sections, asked


def test_the_script_of_05_runs_as_a_file(tmp_path):
    (script,) = [
        cell.source
        for cell in code_cells(ROOT / "05_dream.ipynb")
        if "script" in cell.metadata.get("tags", [])
    ]
    assert 'if __name__ == "__main__":' in script
    numbers = r"GENERATIONS, HORIZON, SEEDS = 20, 200, .*"
    script, found = re.subn(numbers, "GENERATIONS, HORIZON, SEEDS = 1, 20, [1_540_000, 7]", script)
    assert found == 1
    path = tmp_path / "script.py"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.partition(":")[0] for line in lines] == ["the shipped C", "evolved, sees h alone"]
    assert all("in 20 frames" in line for line in lines)


def test_the_game_of_07_is_the_example():
    (cell,) = [
        c for c in code_cells(ROOT / "07_your_own_game.ipynb") if "game" in c.metadata.get("tags", [])
    ]
    written = cell.source.partition("\n")[2] + "\n"
    assert written == (ROOT.parent / "examples/catch.py").read_text(encoding="utf-8")


def test_what_08_shows_is_made_by_commands_of_the_page_of_results():
    page = (ROOT.parent / "docs/results.md").read_text(encoding="utf-8")
    printed = "".join(
        o.get("text", "") for c in code_cells(ROOT / "08_results.ipynb") for o in c.outputs
    )
    made_by = re.findall(r"^made by: (.+?) *(?:\(no rows .*)?$", printed, re.MULTILINE)
    assert len(set(made_by)) >= 12 and set(made_by) <= set(re.findall(r"`([^`]+)`", page))


def test_08_lists_all_experiments_with_the_notebooks_that_show_them():
    (cell,) = [c for c in code_cells(ROOT / "08_results.ipynb") if c.source.startswith("SHOWN = ")]
    shown = ast.literal_eval(ast.parse(cell.source).body[0].value)
    found = {study: set() for study in STUDIES}
    for path in LESSONS:
        for study in re.findall(
            r'lesson\.findings\(\s*"(\w+)"', "\n".join(c.source for c in code_cells(path))
        ):
            found[study].add(path.stem[:2])
    assert {study: set(notebooks.split(", ")) for study, notebooks in shown.items()} == found


def anchors(markdown):
    """The places in a text that a link can lead to, by GitHub's rule."""
    titles = re.findall(r"^#+ (.*)$", markdown, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", [*TEXTS, *ALL], ids=lambda p: str(p.relative_to(ROOT.parent)))
def test_its_links_lead_somewhere(path):
    if path.suffix == ".ipynb":
        text = "\n\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    else:
        text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http://", "https://")):
            name, _, anchor = target.partition("#")
            other = path.parent / name if name else path
            assert other.exists(), f"{target} is not there"
            if anchor:
                assert anchor in anchors(other.read_text(encoding="utf-8")), f"no {anchor} in {name}"


def terms(text):
    """ "a, b (c)" to a, b and c."""
    return {term.strip() for term in re.split(r"[,()]", text)} - {""}


@pytest.mark.parametrize("lesson", LESSONS, ids=lambda p: p.stem)
def test_its_new_words_are_in_the_glossary(lesson):
    glossary = (ROOT / "glossary.md").read_text(encoding="utf-8")
    known = set().union(*map(terms, re.findall(r"^- \*\*(.+?)\*\*: ", glossary, re.MULTILINE)))
    text = " ".join(cell.source for cell in read(lesson).cells if cell.cell_type == "markdown")
    pattern = r"\*\*New words\*\*: (.+?)\. All are in\s+the\s+\[glossary\]\(glossary\.md\)"
    (new,) = re.findall(pattern, text, re.DOTALL)
    for word in new.split(", "):
        assert terms(re.sub(r"\s+", " ", word)) & known, f"{word} is not in the glossary"


@by_name
def test_it_stays_within_its_limits(path):
    cells = code_cells(path)
    assert len(cells) <= 45
    for number, cell in enumerate(cells):
        longest = 45 if cell.source.startswith(("class ", "@dataclass")) else 30
        longest = 50 if cell.source.startswith("%%writefile") else longest  # a whole file
        assert len(cell.source.splitlines()) <= longest, f"code cell {number} is too long"
    assert path.stat().st_size < 700 * 1024


@by_name
def test_it_is_valid_executed_in_order_and_without_widget_state(path):
    notebook = read(path)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    counts = [cell.execution_count for cell in code_cells(path)]
    assert counts == list(range(1, len(counts) + 1)), "run `make outputs`"
    for cell in code_cells(path):
        for output in cell.outputs:
            assert output.output_type != "error"
            assert "\r" not in output.get("text", ""), "a progress bar left its residue"


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_its_pictures_are_there(path):
    pictures = sum("image/png" in o.get("data", {}) for c in code_cells(path) for o in c.outputs)
    assert pictures >= 3


@pytest.mark.parametrize("path", LESSONS, ids=lambda p: p.stem)
def test_it_begins_with_a_short_set_up_that_says_what_it_stands_on(path):
    first = code_cells(path)[0]
    assert len(first.source.splitlines()) <= 15
    assert "lesson = begin(" in first.source
    assert "profile laptop" in first.outputs[0].text


@by_name
def test_no_path_of_one_machine_in_it(path):
    text = path.read_text(encoding="utf-8")
    for word in ("/home/", "/root/", "/Users/", "/tmp/", str(ROOT.parent)):
        assert word not in text


def canonical(source: str) -> str:
    """The code without docstrings and annotations."""
    tree = ast.parse(textwrap.dedent(source))
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and ast.get_docstring(node) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        if isinstance(node, ast.FunctionDef):
            node.returns = None
        if isinstance(node, ast.arg):
            node.annotation = None
    return ast.dump(tree)


def taught():
    for path in LESSONS:
        for cell in code_cells(path):
            for tag in cell.metadata.get("tags", []):
                if tag.startswith("wmlib:"):
                    yield pytest.param(cell.source, tag.removeprefix("wmlib:"), id=f"{path.stem}-{tag}")


def test_every_lesson_but_the_first_teaches_code_of_the_package():
    tags = {p.stem: {tag for c in code_cells(p) for tag in c.metadata.get("tags", [])} for p in LESSONS}
    teaching = {name for name, of_it in tags.items() if any(tag.startswith("wmlib:") for tag in of_it)}
    assert teaching == {path.stem for path in LESSONS[1:]}


@pytest.mark.parametrize(("source", "name"), list(taught()))
def test_taught_code_is_the_packages_code(source, name):
    assert canonical(source) == canonical(inspect.getsource(pkgutil.resolve_name(f"wmlib.{name}")))
