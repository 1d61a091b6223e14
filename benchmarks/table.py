"""Ours beside its peers: one table, one figure, one JSON file. `python -m benchmarks` prints and writes
them."""

import argparse
import importlib.util
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from benchmarks.dreams import dream_rows, environment_rows, has_bfloat16, has_sb3
from benchmarks.figure import draw
from benchmarks.games import env_rows, evaluation_rows
from benchmarks.gpu import gpu_name, gpu_rows
from benchmarks.measure import Row
from benchmarks.training import Curves, memory_rows, record_episodes, training_rows
from wmlib.agent import load_agent
from wmlib.runtime.cores import core_count, processor
from wmlib.runtime.device import processor_kind
from wmlib.runtime.disk import ArtifactError, ensure_writable, whole_file
from wmlib.runtime.files import REFERENCE, save_json

HERE = Path(__file__).parent
PAGE = HERE / "README.md"
RESULTS = {"avx512_bf16": "results.json", "avx2": "results-avx2.json"}
"""Where `make bench` keeps what it measured, by the kind of processor."""


@dataclass(frozen=True)
class Size:
    """How much of everything is measured."""

    repeats: int
    env_steps: int
    candidates: int
    game_horizon: int
    dreams: int
    dream_horizon: int
    train_steps: int
    sequence_length: int
    memory_episodes: int
    memory_steps: int


FULL = Size(5, 300, 16, 250, 1024, 200, 60, 200, 300, 20)
QUICK = Size(2, 60, 4, 60, 1024, 12, 3, 60, 5, 4)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller, within three minutes")
    parser.add_argument("--gpu", action="store_true", help="training and dreams on CUDA, beside the CPU")
    parser.add_argument("--only", nargs="+", metavar="NAME", help=", ".join(GROUPS))
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the rows here")
    parser.add_argument("--figure", type=Path, metavar="FILE", help="draw the ratios here (.png)")
    parser.add_argument(
        "--keep",
        action="store_true",
        help=f"write {', '.join(RESULTS.values())}: by the processor's kind",
    )
    options = parser.parse_args(argv)
    if options.keep:
        if options.quick or options.only or options.gpu:
            parser.error("--keep keeps a whole measurement: leave --quick, --only and --gpu away")
        options.json = HERE / RESULTS[processor_kind()]
        options.figure = options.json.with_suffix(".png")
    groups = options.only or (["gpu"] if options.gpu else list(GROUPS))
    if options.gpu and (options.only or options.figure):
        parser.error("--gpu measures its own rows, without a figure: leave --only and --figure out")
    if not options.gpu and (unknown := set(groups) - set(GROUPS)):
        parser.error(f"unknown: {', '.join(sorted(unknown))}; choose from {', '.join(GROUPS)}")
    for path in (options.json, options.figure):
        if path and not path.parent.is_dir():
            parser.error(f"{path}: there is no folder {path.parent}")
    try:
        for path, option in ((options.json, "--json"), (options.figure, "--figure")):
            if path:
                ensure_writable(path, option)
        agent = load_agent(REFERENCE / "carracing")
    except ArtifactError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    size, began = QUICK if options.quick else FULL, time.monotonic()
    print(machine())
    if options.gpu:
        gpu = gpu_name()
        if gpu is None:
            print("There is no GPU here that torch can use (CUDA): nothing was measured.")
            return 2
        print(gpu)
    ours, peer = ("GPU", "CPU") if options.gpu else ("ours", "peer")
    print(f"medians of {size.repeats}, {ours} and {peer} by turns\n")
    print(f"{'name':<20}{ours:>12}{peer:>12}{'ratio':>8}  unit", flush=True)
    rows: list[Row] = []
    curves: Curves = {}
    for group in groups:
        for row in (_gpu if group == "gpu" else GROUPS[group])(agent, size, curves):
            rows.append(row)
            numbers = f"{row.ours:>12,.0f}{row.peer:>12,.0f}{row.ratio:>8.2f}"
            print(f"{row.name:<20}{numbers}  {row.unit}  ({row.what})", flush=True)
    if not has_envpool() and not options.gpu:
        print(
            "\nWithout EnvPool: evaluation_envpool is left out. pip install envpool -c constraints.txt"
        )
    if not has_bfloat16() and not options.gpu:
        print("\nThis processor has no bfloat16: rows named _bf16 and _gemm are left out.")
    if not has_sb3() and not options.gpu:
        print(
            "\nWithout Stable-Baselines3: make_vec and make_vec_doom are left out. "
            "pip install stable-baselines3 -c constraints.txt"
        )
    print(f"\n{time.monotonic() - began:.0f} s in all")
    if options.json:
        save_json(options.json, {"machine": machine(), "rows": [asdict(row) for row in rows]})
    if options.figure:
        with whole_file(options.figure) as temporary:
            draw(rows, curves).savefig(temporary, format=options.figure.suffix.lstrip(".") or None)
    if options.keep:
        PAGE.write_text(with_part(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def with_part(page: str) -> str:
    """The page, with what was measured on a processor that has AVX2 alone, if it was."""
    path = HERE / RESULTS["avx2"]
    if not path.exists():
        return page
    found = json.loads(path.read_text(encoding="utf-8"))
    lines = [f"Measured on: {found['machine']}.", ""]
    lines += ["| ours; the peer | ours | peer | unit | ratio |", "|---|---|---|---|---|"]
    for row in found["rows"]:
        numbers = f"{row['ours']:,.0f} | {row['peer']:,.0f} | {row['unit']} | **{row['ratio']:.2f}×**"
        lines.append(f"| `{row['name']}`: {row['what']} | {numbers} |")
    (limit,) = [row["peer"] for row in found["rows"] if row["name"] == "dream_limit"]
    rate = limit * 0.84e6  # a step of the car's dream takes so many
    lines += [
        "",
        f"Products alone reach {rate / 1e9:,.0f} billion multiplications and additions a second. A "
        "frame takes 0.23 billion of them in V's training",
        f"and 2.5 million in M's: with all else for nothing, {rate / 0.23e9:,.0f} and "
        f"{rate / 2.5e6:,.0f} frames/s.",
    ]
    begin, end = "<!-- results-avx2.json -->\n", "<!-- end -->"
    before, rest = page.split(begin)
    return before + begin + "\n".join(lines) + "\n" + end + rest.partition(end)[2]


def has_envpool() -> bool:
    return importlib.util.find_spec("envpool") is not None


def _env(agent, size: Size, curves: Curves) -> Iterator[Row]:
    return env_rows(size.env_steps, size.repeats, has_envpool())


def _evaluation(agent, size: Size, curves: Curves) -> Iterator[Row]:
    return evaluation_rows(agent, size.candidates, size.game_horizon, size.repeats, has_envpool())


def _dream(agent, size: Size, curves: Curves) -> Iterator[Row]:
    for dreamer, prefix in ((agent, "dream"), (load_agent(REFERENCE / "takecover"), "dream_doom")):
        yield from dream_rows(dreamer, size.dreams, size.dream_horizon, size.repeats, prefix)


def _make_vec(agent, size: Size, curves: Curves) -> Iterator[Row]:
    doom = load_agent(REFERENCE / "takecover")
    for dreamer, prefix in ((agent, "make_vec"), (doom, "make_vec_doom")):
        yield from environment_rows(dreamer, size.dreams, size.dream_horizon, size.repeats, prefix)


def _train(agent, size: Size, curves: Curves) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        store = record_episodes(Path(folder), agent.task)
        length = size.sequence_length
        yield from training_rows(
            store, agent.vae, agent.task, size.train_steps, length, size.repeats, curves
        )


def _gpu(agent, size: Size, curves: Curves) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as folder:
        store = record_episodes(Path(folder), agent.task)
        agents = {"dream": agent, "dream_doom": load_agent(REFERENCE / "takecover")}
        device = torch.device("cuda")
        yield from gpu_rows(store, agents, size.train_steps, size.repeats, device)


def _memory(agent, size: Size, curves: Curves) -> Iterator[Row]:
    return memory_rows(size.memory_episodes, size.memory_steps)


GROUPS = {
    "env": _env, "evaluation": _evaluation, "dream": _dream, "make_vec": _make_vec,
    "train": _train, "memory": _memory,
}  # fmt: skip


def machine() -> str:
    """What the figures depend on."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    flags = {flag for line in lines if line.startswith("flags") for flag in line.split()}
    known = [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in flags]
    names = ("ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "MKL_ENABLE_INSTRUCTIONS")
    held = ", ".join(f"{name}={os.environ[name]}" for name in names if name in os.environ)
    return (
        f"{processor()}{held and f' held to {held}'}, {core_count()} cores "
        f"({' '.join(known) or 'flags unknown'}); "
        f"torch {torch.__version__}, {torch.get_num_threads()} threads, a peer's process 1; "
        f"Python {platform.python_version()}"
    )
