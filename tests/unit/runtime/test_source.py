"""Code of yours, read by its path: what is named, what is refused, and where a mistake lies."""

import hashlib
import sys

import pytest

from wmlib.runtime.fields import ConfigError
from wmlib.runtime.source import (
    SourceChanged,
    address_of,
    is_address,
    load,
    parts_of,
    place_of,
    sha256_of,
)


@pytest.fixture
def mine(tmp_path):
    """Writes a file of mine, and gives its path and its sha256."""

    def write(text, name="mine.py"):
        path = tmp_path / name
        path.write_text(text)
        return path, hashlib.sha256(text.encode()).hexdigest()

    return write


def test_an_address_is_a_file_and_a_name_in_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert parts_of("game.py") == (tmp_path / "game.py", "TASK")
    assert parts_of("a/game.py:OTHER") == (tmp_path / "a/game.py", "OTHER")
    assert str(parts_of("~/game.py")[0]) == "/home/me/game.py"
    assert is_address("game.py") and is_address("game.py:X") and not is_address("carracing")


def test_a_file_is_run_once_and_again_when_it_was_edited_and_leaves_the_path_alone(mine):
    before = list(sys.path)
    path, first = mine(
        "import dataclasses\n@dataclasses.dataclass\nclass T:\n    x: int = 1\nTASK = T()\n"
    )
    task = load(str(path), first)
    assert task.x == 1 and load(f"{path}:TASK", first) is task and sha256_of(path) == first
    path, second = mine("TASK = 2\n")
    assert load(str(path), second) == 2
    with pytest.raises(SourceChanged, match=r"mine.py was edited meanwhile; take that back and"):
        load(str(path), first)
    assert sys.path == before


def test_files_of_one_name_are_told_apart(mine, tmp_path):
    (tmp_path / "b").mkdir()
    a, b = mine("TASK = [1]"), mine("TASK = [1]", "b/mine.py")
    assert load(str(a[0]), a[1]) is not load(str(b[0]), b[1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = 1\ny = (\n", r"mine.py can't be run: SyntaxError: .* \(.*mine.py, line 2\)"),
        ("def f():\n    return 1 / 0\n\nf()\n",
         r"run: ZeroDivisionError: division by zero \(.*mine.py, line 2, in f\)"),
        ("import no_such_package", r"ModuleNotFoundError: .* \(.*mine.py, line 1, in <module>"),
        ("import numpy\nnumpy.zeros(-1)", r"ValueError: negative dimensions .* \(.*mine.py, line 2"),
        ("THING = 1", r"mine.py has no TASK; write TASK = Task\(...\) into it, at its top level"),
    ],
)  # fmt: skip
def test_a_mistake_in_it_is_told_with_its_line(mine, text, message):
    path, sha256 = mine(text)
    with pytest.raises(ConfigError, match=message):
        load(str(path), sha256)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"no.py can't be read \(No such file .*\); name the file of"):
        sha256_of(tmp_path / "no.py")


def test_what_stands_at_the_top_of_a_file_has_an_address_and_nothing_else_has(mine):
    path, sha256 = mine("class Thing:\n    pass\nONE = Thing()\n")
    one = load(f"{path}:ONE", sha256)
    assert address_of(one) == f"{path}:ONE"
    with pytest.raises(ConfigError, match="stands in no file, and game processes have to read it"):
        address_of(type(one)())


def test_the_line_of_a_mistake_is_yours_even_if_a_library_raised_it(mine):
    path, sha256 = mine("import json\ndef f():\n    json.loads('{')\nTASK = f\n")
    with pytest.raises(ValueError) as raised:
        load(str(path), sha256)()
    assert place_of(raised.value) == f" ({path}, line 3, in f)"
    with pytest.raises(ConfigError) as ours:
        sha256_of(path / "x")
    assert str(path) not in place_of(ours.value)
