"""docs/api.md: what a script can use is there as the page says, and the scripts on it run."""

import importlib
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
GUARDED = [block for block in BLOCKS if '__name__ == "__main__"' in block]


def test_the_page_is_what_the_script_writes():
    written = runpy.run_path(str(DOCS / "make_api.py"))["page"]()
    assert written == PAGE, "run: python docs/make_api.py"


@pytest.mark.parametrize(
    "line", sorted(set(re.findall(r"^from wmlib.*", "\n".join(BLOCKS), re.MULTILINE)))
)
def test_what_it_names_can_be_imported(line):
    exec(line, {})


def test_each_name_is_there_once():
    names = re.findall(r"^### `(\w+)`", PAGE, re.MULTILINE)
    assert len(names) == len(set(names)) > 50


def test_every_checker_is_there():
    checks = importlib.import_module("wmlib.checks")
    assert set(re.findall(r"^- `(check_\w+)\(", PAGE, re.MULTILINE)) == set(checks.__all__)


def test_each_entry_says_what_it_is():
    entries = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    for entry in entries:
        said = entry.split("```")[2].strip()
        assert re.match(r"\S.*\.", said), f"no sentence: {entry.splitlines()[0]}"


@pytest.mark.parametrize(
    ("number", "words"), [(0, ["promised in its dream:", "paid by the game:"]), (1, ["(21, 64, 64, 3)"])]
)
def test_its_scripts_run(number, words, tmp_path):
    script, few = re.subn(r"^(FRAMES.* = )\d+", r"\g<1>20", GUARDED[number], flags=re.MULTILINE)
    assert few == 1
    path = tmp_path / "script.py"
    path.write_text(script, encoding="utf-8")
    done = subprocess.run([sys.executable, path], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(word in done.stdout for word in words), done.stdout


def test_there_are_two_scripts():
    assert len(GUARDED) == 2 and len(GUARDED[0].splitlines()) <= 15
