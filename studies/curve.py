"""From nothing to a driver: the score in the game against what it cost, from the events of runs.

    python -m studies.curve laptop=runs/reference overnight=runs/car --out studies/results/curve.json

Each point is a test on validation games, as the run made it. Its cost is all that went before: hours of
work (two cores each), and frames of the game, those of tests included.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from studies.table import keep, read, run
from wmlib.data.episodes import EpisodeStore
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.log import each_event

PAPER = [
    {"generation": 25, "mean": 823},
    {"generation": 50, "mean": 867},
    {"generation": 200, "mean": 880},
    {"generation": 475, "mean": 891},
    {"generation": 1800, "mean": 900.5},
]
"""Of its own logs, over 1,024 games each; 64 candidates on 16 tracks in each generation."""
MARKS = (600, 850)
"""Scores for which it is told when they were passed."""


def curve(folder: Path) -> list[dict]:
    """The tests of a run, in their order: stage, step, mean, sd, n, hours and frames until then."""
    points, hours, frames, last = [], 0.0, 0, None
    for row in each_event(folder):
        if not row.get("began") and last is not None:  # between two sittings nobody worked
            hours += (row["seconds"] - last) / 3600
        last = row["seconds"]
        if "sigma" not in row or row["stage"] == "real":  # else those of a generation are dreamt
            frames += row.get("frames", row.get("length", 0))
        if "real" in row:
            point = {"stage": row["stage"], "step": row["step"], "mean": row["real"]}
            points.append(
                point | {"sd": row["real_sd"], "n": row["n"], "hours": round(hours, 3), "frames": frames}
            )
    return points


def passed(points: list[dict], mark: float) -> float | None:
    """Hours after which a test first reached the mark."""
    return next((point["hours"] for point in points if point["mean"] >= mark), None)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m studies.curve",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER", help="a run's name, and its folder")
    parser.add_argument("--out", type=Path, required=True, help="where the points go, a JSON file")
    args = parser.parse_args(argv)
    if wrong := [pair for pair in args.runs if not all(pair.partition("="))]:
        parser.error(f"{wrong[0]} must be NAME=FOLDER, as in laptop=runs/reference")
    runs = read(args.out).get("runs", {})
    for pair in args.runs:
        name, _, folder = pair.partition("=")
        points = curve(Path(folder))
        if not points:
            raise ArtifactError(
                f"{folder} holds no run with tests in the game; name the folder of one: --run-dir of "
                "python -m wmlib run"
            )
        runs[name] = {
            "points": points,
            "explorers": EpisodeStore(Path(folder) / "episodes").steps,
            "passed": {str(mark): passed(points, mark) for mark in MARKS},
        }
    keep(args.out, {"runs": runs, "paper": PAPER})
    for name, told in runs.items():
        print(name, told["passed"], told["points"][-1])


if __name__ == "__main__":
    run(main)
