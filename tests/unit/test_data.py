"""What is shipped: whole, small, as good as it is said to be."""

import json
from pathlib import Path

import numpy as np
import pytest

from wmlib.agent import load_agent
from wmlib.artifacts import REFERENCE, sha256
from wmlib.config import REPORTING_SEEDS, VALIDATION_SEEDS
from wmlib.episodes import EpisodeStore
from wmlib.evaluation import bootstrap_interval
from wmlib.worlds import RealWorld, play

ROOT = Path(__file__).parents[2]
CAR = REFERENCE / "carracing"


def size(folder):
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def test_sample_episodes_are_whole_and_small():
    store = EpisodeStore(ROOT / "data" / "sample")
    store.verify()
    assert len(store) >= 2 and size(store.folder) <= 6e6


def test_shipped_files_are_those_of_the_manifest():
    manifest = json.loads((CAR / "manifest.json").read_text())
    for name, digest in manifest["sha256"].items():
        assert sha256(CAR / name) == digest
    assert size(REFERENCE) <= 30e6
    assert sum(manifest["wall_seconds"].values()) <= 2 * 3600


@pytest.mark.parametrize("name", ["score", "score_dream"])
def test_readme_and_manifest_tell_the_scores_that_were_measured(name):
    score = json.loads((CAR / f"{name}.json").read_text())
    assert score["first_seed"] == REPORTING_SEEDS and score["n"] == len(score["returns"]) == 100
    assert bootstrap_interval(score["returns"]) == pytest.approx(score["ci95"], abs=0.1)
    manifest = json.loads((CAR / "manifest.json").read_text())
    controller = {"score": "controller", "score_dream": "controller_dream"}[name]
    assert manifest["scores"][controller]["mean"] == score["mean"]
    low, high = score["ci95"]
    readme = (ROOT / "README.md").read_text()
    assert f"| {score['mean']:.0f} ± {score['sd']:.0f} | {low:.0f} to {high:.0f} |" in readme


def test_the_shipped_agent_drives():
    agent = load_agent(CAR)
    seeds = VALIDATION_SEEDS + 500 + np.arange(4)
    with RealWorld(agent.vae, agent.mdnrnn, lanes=4, workers=2, horizon=400) as world:
        returns = play(world, agent.controller, agent.params[None], seeds)
    # A car that stands still gets about -30 here, one that goes straight on about 20.
    assert returns.mean() > 150
