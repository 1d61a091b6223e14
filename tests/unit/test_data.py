"""What is shipped: whole, small, as good as it is said to be."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from wmlib.agent import load_agent
from wmlib.config import REPORTING_SEEDS, TAUS, VALIDATION_SEEDS
from wmlib.data import EpisodeStore
from wmlib.measure.evaluation import bootstrap_interval
from wmlib.measure.temperature import PAPER, controller_file, read_table
from wmlib.runtime.files import REFERENCE, load_tensors, sha256
from wmlib.worlds import RealWorld, play

ROOT = Path(__file__).parents[2]
CAR, DOOM = REFERENCE / "carracing", REFERENCE / "takecover"
SCORES = [
    (CAR, "score", 100), (CAR, "score_dream", 100), (DOOM, "score", 500), (DOOM, "score_chance", 500),
    (DOOM, "score_runner", 500),
]  # fmt: skip
OPTION = {
    "score_dream": "--controller controller_dream.safetensors",
    "score_chance": "--policy fresh",
    "score_runner": "--policy runner",
}
"""What the command of a score says beyond that of the game's first one."""


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_sample_episodes_are_whole_and_small():
    store = EpisodeStore(ROOT / "data" / "sample")
    store.verify()
    assert len(store) >= 2 and size(store.folder) <= 6e6


def test_all_weights_and_episodes_that_are_shipped_are_signed():
    for path in sorted((ROOT / "data").rglob("*.safetensors")):
        load_tensors(path)  # or it is refused


def manifest_of(folder):
    return json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("folder", [CAR, DOOM], ids=lambda folder: folder.name)
def test_shipped_files_are_those_of_the_manifest(folder):
    manifest = manifest_of(folder)
    for name, digest in manifest["sha256"].items():
        assert sha256(folder / name) == digest
    assert size(REFERENCE) <= 30e6
    assert sum(manifest["wall_seconds"].values()) <= 2 * 3600


@pytest.mark.parametrize(
    ("folder", "command"), [(CAR, "make reference"), (DOOM, "make doom")], ids=("car", "doom")
)
def test_the_page_beside_them_tells_how_long_the_training_took(folder, command):
    hours, minutes = divmod(round(sum(manifest_of(folder)["wall_seconds"].values()) / 60), 60)
    said = rf"`{command}`( trained it from nothing)?, in {hours} h {minutes} min "
    assert re.search(said, page())


def page():
    return (REFERENCE / "README.md").read_text(encoding="utf-8")


def row_of(cells):
    """The row of the first page's table that holds these cells, as its cells."""
    (row,) = [
        line for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines() if cells in line
    ]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize(("folder", "name", "n"), SCORES, ids=lambda x: getattr(x, "name", x))
def test_readme_and_manifest_tell_the_scores_that_were_measured(folder, name, n):
    score = json.loads((folder / f"{name}.json").read_text())
    assert score["first_seed"] == REPORTING_SEEDS and score["n"] == len(score["returns"]) == n
    assert bootstrap_interval(score["returns"]) == pytest.approx(score["ci95"], abs=0.1)
    controller = {"score": "controller", "score_dream": "controller_dream"}.get(name)
    if controller:
        assert manifest_of(folder)["scores"][controller]["mean"] == score["mean"]
    low, high = score["ci95"]
    told = f"| {score['mean']:.0f} ± {score['sd']:.0f} | {low:.0f} to {high:.0f} | {n} |"
    game, *_, command = row_of(told)
    assert game == {CAR: "car", DOOM: "Doom"}[folder]
    whole = f"`python -m wmlib evaluate --task {folder.name} --world real --episodes {n}`"
    assert command == (f"the same, with `{OPTION[name]}`" if name in OPTION else whole)


def test_the_shipped_agent_drives():
    agent = load_agent(CAR)
    seeds = VALIDATION_SEEDS + 500 + np.arange(4)
    with RealWorld(agent.vae, agent.mdnrnn, lanes=4, workers=2, horizon=400) as world:
        returns = play(world, agent.controller, agent.params[None], seeds)
    # A car that stands still gets about -30 here, one that goes straight on about 20.
    assert returns.mean() > 150


def test_the_shipped_agent_dodges():
    """Well above chance (about 210) in a few games. Its intervals come from many more."""
    agent = load_agent(DOOM)
    assert "real" not in manifest_of(DOOM)["config"]["stages"]  # C learned in dreams alone
    seeds = VALIDATION_SEEDS + 500 + np.arange(8)
    with RealWorld(agent.vae, agent.mdnrnn, lanes=8, workers=2) as world:
        returns = play(world, agent.controller, agent.params[None], seeds)
    assert returns.mean() > 400


def test_the_paper_calls_it_solved():
    low, _ = json.loads((DOOM / "score.json").read_text())["ci95"]
    assert low > 750


def test_the_temperature_table_is_whole_and_the_pages():
    rows, _ = read_table(DOOM)
    assert tuple(row.tau for row in rows) == TAUS
    for row in rows:
        assert row.real.n >= 100 and row.real.first_seed == REPORTING_SEEDS
        assert load_agent(DOOM, controller_file(row.tau)).about["tau"] == row.tau
        low, high = row.real.ci95
        dream, real = (f"{score.mean:.0f} ± {score.sd:.0f}" for score in (row.dream, row.real))
        papers_dream, mean, sd = PAPER[row.tau]
        ours = f"| {row.tau:g} | {dream} | {real} | {low:.0f} to {high:.0f} "
        assert f"{ours}| {papers_dream} | {mean} ± {sd} |" in page()
