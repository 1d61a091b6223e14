"""The pages for people: short where they should be, in order, and with commands that exist."""

import json
import re
from pathlib import Path

import pytest

from wmlib.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / name
    for name in (
        "README.md", "CONTRIBUTING.md", "data/README.md", "data/reference/README.md",
        "benchmarks/README.md", "tests/faults/README.md", "docs/environment.md", "docs/cluster.md",
        "docs/results.md", "web/README.md",
    )
]  # fmt: skip
by_name = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def test_the_first_page_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150


def test_the_minutes_of_the_notebooks_are_those_that_were_measured():
    """Of each kind of processor that they were measured on: with bfloat16, and with AVX2 alone."""
    kept = json.loads((ROOT / "notebooks/minutes.json").read_text(encoding="utf-8"))
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    said = dict(re.findall(r"^\| \[(\d\d) · .* \| ([^|]+) \|$", readme, re.MULTILINE))
    kinds = [kept[kind]["minutes"] for kind in ("avx512_bf16", "avx2") if kind in kept]
    assert set().union(*kinds) == said.keys()
    for number, cell in said.items():
        here = [minutes[number] for minutes in kinds if number in minutes]
        words = [f"{minutes:.0f}" if minutes >= 0.75 else "½" for minutes in here]
        assert cell == " · ".join(words), number


@by_name
def test_its_commands_exist(page):
    text = page.read_text(encoding="utf-8")
    assert set(re.findall(r"python -m wmlib (\w+)", text)) <= COMMANDS.keys()
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"(?:`|^)make (\w+)", text, re.MULTILINE)) <= set(targets)


def lists():
    """The glossary's two lists: of each entry, the term, its alias, and what is said."""
    _, *parts = (ROOT / "notebooks/glossary.md").read_text(encoding="utf-8").split("\n## ")
    for part in parts:
        lines = [line for line in part.splitlines()[1:] if line]
        entries = [re.fullmatch(r"- \*\*([^(*]+?)(?: \(([^)*]+)\))?\*\*: (.+)", line) for line in lines]
        assert all(entries), lines[entries.index(None)]
        yield [entry.groups() for entry in entries]


def test_the_glossary_has_two_sorted_lists_of_words_each_said_once_in_a_sentence():
    field, code = lists()
    for entries in (field, code):
        terms = [term.casefold() for term, *_ in entries]
        assert terms == sorted(terms)
        for term, _, said in entries:
            assert said.endswith(".") and not re.search(r"[.!?] ", said), term
    words = [word for term, alias, _ in field + code for word in (term, alias) if word]
    assert len(words) == len(set(words))
