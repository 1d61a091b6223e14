"""Ask a study, and keep what it finds.

    python -m studies.claims players --out studies/results/claims.json
    python -m studies.claims five --effort 0.2 --seeds 1

A row for each name and seed. Rows that are there, made with the same effort, are not made again; a study
that was broken off goes on at its next row. With no name, it says what there is to ask.
"""

import argparse
from pathlib import Path

from studies.claims import control, doom, memory, sight
from studies.claims.lab import Lab, Rows, Study, cpu_seconds
from studies.table import machine
from wmlib.runtime.place import CHECKOUT

STUDIES: dict[str, Study] = sight.STUDIES | memory.STUDIES | control.STUDIES | doom.STUDIES
RESULTS = (CHECKOUT or Path()) / "studies/results/claims.json"


def ask(
    study: str, lab: Lab, rows: Rows, seeds: list[int] | None = None, names: list[str] | None = None
) -> None:
    """Make the rows that are missing."""
    what = STUDIES[study]
    for seed in seeds or what.seeds:
        for name in names or what.names:
            if rows.has(study, name, seed, lab.effort):
                continue
            before = cpu_seconds()
            found = what.ask(lab, name, seed)
            spent = round((cpu_seconds() - before) / 60, 1)
            about = {"effort": lab.effort, "cpu_minutes": spent, "machine": machine()}
            rows.add(study, {"name": name, "seed": seed, **rounded(found), **about})
            shown = {key: value for key, value in rounded(found).items() if not isinstance(value, list)}
            print(f"{study}: {name}, seed {seed}: {shown}", flush=True)


def rounded(found):
    """Numbers as short as they are exact enough."""
    if isinstance(found, dict):
        return {key: rounded(value) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return [rounded(value) for value in found]
    return float(f"{found:.5g}") if isinstance(found, float) else found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("study", nargs="?", choices=STUDIES)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--folder", type=Path, default=Path("runs/claims"), help="games and models")
    parser.add_argument("--effort", type=float, default=1.0, help="share of games, batches, generations")
    parser.add_argument("--seeds", type=int, nargs="+")
    parser.add_argument("--names", nargs="+")
    args = parser.parse_args()
    if args.study is None:
        for name, study in STUDIES.items():
            print(f"{name:10} about {study.minutes:>4} CPU-minutes: {', '.join(study.names)}")
        return
    ask(args.study, Lab(args.folder, args.effort), Rows(args.out), args.seeds, args.names)


if __name__ == "__main__":
    main()
