"""The command line before any command runs."""

import subprocess
import sys

import pytest

from wmlib import cli, doctor
from wmlib.__main__ import COMMANDS, main


@pytest.mark.parametrize("words", [[], ["-h"], ["--help"]])
def test_without_a_command_it_says_what_there_is(words, capsys):
    assert main(words) == 0
    shown = capsys.readouterr().out
    for name, does in COMMANDS.items():
        assert f"  {name} " in shown and does in shown


def test_an_unknown_command_is_told_apart_on_stderr(capsys):
    assert main(["fly", "--far"]) == 2
    shown = capsys.readouterr()
    assert not shown.out
    assert shown.err.startswith("error: there is no command 'fly'\n") and "temperature" in shown.err


def test_a_command_that_was_renamed_says_its_new_name(capsys):
    assert main(["honesty", "--controllers", "3"]) == 2
    assert capsys.readouterr().err == "error: honesty is called fidelity now\n"
    assert "fidelity" in COMMANDS and "honesty" not in COMMANDS


@pytest.mark.parametrize("status", [0, 1])
def test_the_doctors_status_is_the_programs(monkeypatch, status):
    monkeypatch.setattr(doctor, "main", lambda argv: status if argv == ["x"] else 9)
    assert main(["doctor", "x"]) == status


def test_every_other_command_is_handed_on_with_its_options(monkeypatch):
    monkeypatch.setattr(cli, "run_command", lambda command, argv: (command, argv))
    for name in COMMANDS.keys() - {"doctor"}:
        assert main([name, "--x", "1"]) == (name, ["--x", "1"])


def test_nothing_heavy_is_loaded_before_a_command_is_known():
    """Worker processes read the same file."""
    code = (
        "import sys; before = set(sys.modules); import wmlib.__main__;"
        "print({name.partition('.')[0] for name in set(sys.modules) - before} - sys.stdlib_module_names)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "{'wmlib'}"
