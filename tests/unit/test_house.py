"""The house in CONTRIBUTING.md: every module has its place, and imports only from floors below.

What is imported is read from the code, imports inside of functions included, and names of modules that
stand in strings: games are loaded by name.
"""

import ast
import functools
import re
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE, TESTS = ROOT / "wmlib", ROOT / "tests"
UPWARDS = {("task", "tasks"), ("task", "own")}
"""Imports by name, at the time of use, that lead to a floor above: `find_task` loads a game's module, or
what makes the task of a user's file whole."""
TESTED_TOGETHER = {"checks": "test_checks.py"}
"""Folders whose modules share a test file."""
UNTESTED = {"envs.errors"}  # two exceptions, no code
FOREIGN = {
    "_exit": "os",
    "_handle_custom_msg": "ipywidgets, as a browser calls it",
    "_launch": "multiprocessing, to hear of new processes",
    "_repr_png_": "IPython's protocol",
}
"""Private names that tests may touch, and whose they are: none is ours."""


# What the code says


def module_of(path: Path) -> str:
    """wmlib/worlds/dream.py to worlds.dream; an __init__.py to its folder's name, "" for ours."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
FACES = {name for name, path in FILES.items() if path.name == "__init__.py"}
MODULES = sorted(FILES.keys() - FACES)


def room_of(module: str) -> str:
    """The module itself, or the folder that it stands in."""
    return module.split(".")[0]


@functools.cache
def tree(module: str) -> ast.Module:
    return ast.parse(FILES[module].read_text(encoding="utf-8"))


def direct_imports(module: str) -> set[tuple[str, str]]:
    """(module or face, imported name; "" for the whole) of all imports of the package."""
    found = set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            found |= {(name[6:], "") for name in names if name == "wmlib" or name.startswith("wmlib.")}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{module} imports with dots; write wmlib. in full"
            package, _, source = node.module.partition(".")
            if package == "wmlib":
                found |= {(source, alias.name) for alias in node.names}
    return found


def resolve(source: str, name: str) -> str:
    """The module that an import leads to, through faces if need be."""
    within = f"{source}.{name}" if source else name
    if within in FILES:
        return within
    if source in FACES and name:
        for origin, exported in direct_imports(source):
            if exported == name:
                return resolve(origin, exported)
    return source


@functools.cache
def imports(module: str) -> set[str]:
    """All modules that it imports, wherever in it the import stands."""
    return {resolve(*found) for found in direct_imports(module)} - {""}


def named_in_strings(module: str) -> set[str]:
    """Modules of ours that a string names, such as "wmlib.envs.carracing:CarRacing"."""
    strings = {node.value for node in ast.walk(tree(module)) if isinstance(node, ast.Constant)}
    named = {re.fullmatch(r"wmlib\.([\w.]+)(:\w+)?", text) for text in strings if isinstance(text, str)}
    return {match[1] for match in named if match} & FILES.keys()


# What CONTRIBUTING.md says


@functools.cache
def house() -> tuple[dict[str, int], dict[str, set[str]]]:
    """Room to floor, and folder to its modules."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```\n(floor .*?)```", text, re.DOTALL)
    floors: dict[str, int] = {}
    modules: dict[str, set[str]] = {}
    for line in block.splitlines():
        if room := re.fullmatch(r"floor +(\d+)  (\w+)(/|\.py) +\S.*", line):
            name = room[2]
            assert name not in floors, f"{name} stands twice"
            floors[name] = int(room[1])
            folder = modules.setdefault(name, set()) if room[3] == "/" else None
        else:
            module = re.fullmatch(r" +(\w+)\.py +\S.*", line)
            assert module and folder is not None, f"what is this line? {line!r}"
            assert module[1] not in folder, f"{module[1]} stands twice"
            folder.add(module[1])
    return floors, modules


def test_the_tree_is_the_packages():
    floors, modules = house()
    assert floors.keys() == {room_of(module) for module in MODULES}
    assert modules == {
        folder: {module.split(".")[1] for module in MODULES if room_of(module) == folder}
        for folder in FACES - {""}
    }


def test_there_are_no_folders_in_folders():
    assert all(name.count(".") <= 1 for name in FILES)


@pytest.mark.parametrize("module", sorted(FILES))
def test_a_module_imports_only_from_floors_below(module):
    floors, own = house()[0], room_of(module)
    for other in map(room_of, imports(module)):
        assert other == own or floors[other] < floors[own], f"{module} imports {other}"
    for other in map(room_of, named_in_strings(module)):
        allowed = other == own or (own, other) in UPWARDS or floors[other] < floors[own]
        assert allowed, f"{module} names {other}"


def test_there_are_no_more_floors_than_it_takes():
    others: dict[str, set[str]] = {}
    for module in MODULES:
        own = room_of(module)
        others.setdefault(own, set()).update(set(map(room_of, imports(module))) - {own})
    heights: dict[str, int] = {}
    for room in TopologicalSorter(others).static_order():
        heights[room] = 1 + max((heights[other] for other in others[room]), default=0)
    assert max(house()[0].values()) == max(heights.values())


def test_no_modules_import_each_other_in_a_circle():
    graph = {module: imports(module) - {module} for module in MODULES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" imports ".join(reversed(error.args[1])))


@pytest.mark.parametrize("module", [module for module in MODULES if "." in module])
def test_a_module_does_not_import_its_own_face(module):
    for source, name in direct_imports(module):
        assert source != room_of(module), f"{module} imports {name} from its own face"


# The tests


@pytest.mark.parametrize("module", [module for module in MODULES if module not in UNTESTED])
def test_a_module_has_a_test_file_of_its_name(module):
    path = FILES[module].relative_to(PACKAGE)
    name = TESTED_TOGETHER.get(room_of(module), path.with_name(f"test_{path.stem.strip('_')}.py"))
    assert (TESTS / "unit" / name).is_file(), f"there is no tests/unit/{name}"


@pytest.mark.parametrize("folder", sorted(FACES - {""}))
def test_a_folder_of_tests_tests_modules_of_that_name(folder):
    for path in (TESTS / "unit" / folder).glob("test_*.py"):
        assert f"{folder}.{path.stem.removeprefix('test_')}" in FILES, f"{path} tests no module"


def private_names(source: str) -> set[str]:
    """Names with one underscore in front that code takes from another module or object.

    What a class of the code defines for itself, and takes from self, is its own. Names in the strings
    of setattr, getattr and monkeypatch.setattr count too.
    """
    code, found, own = ast.parse(source), set(), set()
    for node in ast.walk(code):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            own.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and _is_self(node):
            own.add(node.attr)
    for node in ast.walk(code):
        if isinstance(node, ast.ImportFrom):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Attribute) and not (_is_self(node) and node.attr in own):
            found.add(node.attr)
        elif isinstance(node, ast.Call):
            called = getattr(node.func, "attr", getattr(node.func, "id", ""))
            if called in ("setattr", "getattr", "hasattr", "delattr"):
                texts = [arg.value for arg in node.args if isinstance(arg, ast.Constant)]
                found |= {part for text in texts if isinstance(text, str) for part in text.split(".")}
    return {name for name in found if re.match(r"_[^_]", name)}


def _is_self(node: ast.Attribute) -> bool:
    return isinstance(node.value, ast.Name) and node.value.id == "self"


def test_private_names_are_found_wherever_they_hide():
    source = """
from wmlib.worlds.dream import _block
class Mine:
    def __init__(self):
        self._own = 1
    def look(self):
        return self._own, self.__class__, self._inherited
thing._attribute
monkeypatch.setattr(thing, "_patched", 1)
monkeypatch.setattr("wmlib.a._by_path", 1)
"""
    assert private_names(source) == {"_block", "_inherited", "_attribute", "_patched", "_by_path"}


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix()
)
def test_tests_touch_public_names_only(path):
    private = private_names(path.read_text(encoding="utf-8")) - FOREIGN.keys()
    assert not private, f"private: {', '.join(sorted(private))}"


def test_no_foreign_name_is_ours():
    ours = set()
    for module in FILES:
        for node in ast.walk(tree(module)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                ours.add(node.name)
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                ours.add(node.attr)
    assert ours & FOREIGN.keys() <= {"_repr_png_"}  # IPython's word for what our figures can do
