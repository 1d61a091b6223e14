"""The command line: python -m wmlib COMMAND [--profile P] [--run-dir DIR] [options].

Nothing heavy is imported at the top: worker processes read this file too.
"""

from __future__ import annotations  # the doctor speaks under any Python

import signal
import sys

from wmlib.runtime.streams import forgiving_streams

COMMANDS = {
    "run": "every stage, from nothing to a scored agent; goes on where it stopped",
    "collect": "record episodes with an exploring policy",
    "vae": "train V on the episodes",
    "mdnrnn": "train M on the encoded episodes",
    "evolve": "evolve C, in the dream and in the real game, with all that a profile lists there",
    "evaluate": "score an agent over many games, real or dreamt",
    "temperature": "let C learn in dreams of several temperatures, and score it in them and in the game",
    "fidelity": "say how far an agent's dream may be believed, by games that it plays",
    "examine": "ask a run that does not learn: is there reward, what does V keep, what does M foretell",
    "play": "watch an agent: the game beside its dream, as a GIF",
    "export": "turn a finished run into a folder that can be shipped, with its scores",
    "export-web": "write what the page in web/ needs of an agent",
    "worker": "play games for runs on other machines; it is named the scheduler's address",
    "doctor": "say what is wrong with this machine, what mends it, and how long things take on it",
}

RENAMED = {"honesty": "fidelity"}
"""Commands by their former names, and what they are called now."""


def main(argv: list[str] | None = None) -> int:
    """Run one command. Returns the exit status: 0, 2 for a bad input, 130 when stopped, or 1 for a
    machine that the doctor found broken."""
    with forgiving_streams():
        return _main(list(sys.argv[1:] if argv is None else argv))


def _main(argv: list[str]) -> int:
    if not argv or argv[0] in ("-h", "--help"):
        print(_usage())
        return 0
    command, rest = argv[0], argv[1:]
    if command in RENAMED:
        print(f"error: {command} is called {RENAMED[command]} now", file=sys.stderr)
        return 2
    if command not in COMMANDS:
        print(f"error: there is no command {command!r}\n\n{_usage()}", file=sys.stderr)
        return 2
    if command == "doctor":  # works where packages are missing: that is what it is for
        from wmlib import doctor

        return doctor.main(rest)
    from wmlib import cli

    return cli.run_command(command, rest)


def _usage() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, text in COMMANDS.items()]
    return "\n".join(
        [
            "World models, to learn from: V compresses, M predicts, C acts.",
            "",
            "usage: python -m wmlib COMMAND [--profile PROFILE] [--run-dir DIR] [options]",
            "",
            *lines,
            "",
            "python -m wmlib COMMAND --help lists the options of a command.",
        ]
    )


if __name__ == "__main__":
    status = main()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Python tidies up: one more Ctrl-C would only litter
    sys.exit(status)
