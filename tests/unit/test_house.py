"""The house in CONTRIBUTING.md: every module has its floor, and imports only from floors below."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MODULES = [path for path in sorted((ROOT / "wmlib").rglob("*.py")) if path.name != "__init__.py"]


def floors():
    rows = re.findall(r"^\| (\d) \| (.*) \|$", (ROOT / "CONTRIBUTING.md").read_text(), re.MULTILINE)
    return {name: int(floor) for floor, text in rows for name in re.findall(r"`(\w+)`", text)}


def room_of(path):
    """Its module, or the subpackage that it belongs to."""
    return path.relative_to(ROOT / "wmlib").with_suffix("").parts[0]


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "wmlib":
            parts = node.module.split(".")[1:]
            yield from parts[:1] or [alias.name for alias in node.names]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_from_floors_below(path):
    floor, own = floors(), room_of(path)
    assert own in floor, f"{own} has no place in CONTRIBUTING.md"
    for name in imported(path):
        within = name == own or own == "__main__"  # which opens the doors of its own floor
        assert within or floor[name] < floor[own], f"{own} imports {name}"
