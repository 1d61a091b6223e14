"""From nothing to a driver: the score in the game against what it cost, from the events of runs.

    python -m studies.curve laptop=runs/reference overnight=runs/car --out studies/results/curve.json

Each point is a test on validation games, as the run made it. Its cost is all that went before: hours of
work (two cores each), and frames of the game, those of tests included.
"""

import argparse
from pathlib import Path

from wmlib.data.episodes import EpisodeStore
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import save_json
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
        frames += row.get("frames", row.get("length", 0))  # of a generation, or of a recorded game
        if "real" in row:
            point = {"stage": row["stage"], "step": row["step"], "mean": row["real"]}
            points.append(
                point | {"sd": row["real_sd"], "n": row["n"], "hours": round(hours, 3), "frames": frames}
            )
    return points


def passed(points: list[dict], mark: float) -> float | None:
    """Hours after which a test first reached the mark."""
    return next((point["hours"] for point in points if point["mean"] >= mark), None)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="NAME=FOLDER")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    runs = {}
    for pair in args.runs:
        name, _, folder = pair.partition("=")
        points = curve(Path(folder))
        if not points:
            raise ArtifactError(f"{folder} holds no run with tests in the game")
        runs[name] = {
            "points": points,
            "explorers": EpisodeStore(Path(folder) / "episodes").steps,
            "passed": {str(mark): passed(points, mark) for mark in MARKS},
        }
    args.out.parent.mkdir(parents=True, exist_ok=True)
    save_json(args.out, {"runs": runs, "paper": PAPER})
    for name, run in runs.items():
        print(name, run["passed"], run["points"][-1])


if __name__ == "__main__":
    main()
