"""The agent's own games: V and M learn on from them; each C keeps the V and M that it learned with."""

import dataclasses
import shutil

import numpy as np
import pytest
import torch

from wmlib.agent import load_agent
from wmlib.cli import run_command
from wmlib.config import ITERATE_SEEDS
from wmlib.data.episodes import EpisodeStore
from wmlib.data.sequences import Sequences
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.files import load_tensors
from wmlib.runtime.job import Job
from wmlib.stages.iterate import BothStores, calibrate
from wmlib.task import find_task


def test_the_agents_games_are_recorded_beside_the_explorers(doom_run):
    explored, games = (EpisodeStore(doom_run / name) for name in ("episodes", "iterate/episodes"))
    assert explored.seeds == [0, 1, 2, 3] and games.seeds == [ITERATE_SEEDS + i for i in range(3)]
    assert {row["policy"] for row in games.rows.values()} == {"agent"}


def test_m_sees_every_game_both_ways_round(doom_run):
    task = find_task("takecover")
    for store, file in (
        ("episodes", "encoded"),
        ("episodes", "iterate/encoded_explored"),
        ("iterate/episodes", "iterate/encoded_games"),
    ):
        recorded = [len(episode) for episode in EpisodeStore(doom_run / store)]
        path = doom_run / f"{file}.safetensors"
        of = Job("any", path=path, digest=load_tensors(path)[1]["digest"])
        data = Sequences.load(of, task, "")
        assert data.lengths == [length for length in recorded for _ in range(2)]
        first = data.lengths[0]
        assert torch.equal(data.actions[:first], -data.actions[first : 2 * first])


def test_v_m_and_c_are_new_and_the_old_ones_still_play_together(doom_run):
    old = load_agent(doom_run, "controller_dream.safetensors")
    new = load_agent(doom_run)
    for kind, stage in (("vae", "vae"), ("mdnrnn", "mdnrnn")):
        kept, _ = load_tensors(doom_run / "stages" / f"{stage}.safetensors")
        for name, value in getattr(old, kind).state_dict().items():
            assert torch.equal(value, kept[name])
        same = [
            torch.equal(a, b)
            for a, b in zip(
                getattr(old, kind).state_dict().values(), getattr(new, kind).state_dict().values(),
                strict=True,
            )
        ]  # fmt: skip
        assert not any(same), kind
    assert new.mdnrnn.done_positive_weight == 10.0
    for agent, name in ((old, "vae_dream_starts"), (new, "iterate_dream_starts")):
        kept, _ = load_tensors(doom_run / "stages" / f"{name}.safetensors")
        assert torch.equal(agent.starts.mu, kept["mu"])
    assert not torch.equal(old.starts.mu, new.starts.mu)


@pytest.mark.parametrize(
    ("change", "made_again"),
    [
        (["--iterate.dream.tau", "1.3"], ""),
        (["--iterate.mdnrnn.done-weight", "2"], "mdnrnn"),
        (["--iterate.vae.free-bits", "0.7"], "vae mdnrnn"),
        (["--iterate.noise", "0.5"], "games vae mdnrnn"),
    ],
)
def test_only_what_a_change_touches_is_made_again(doom_run, tmp_path, change, made_again):
    folder = tmp_path / "run"
    shutil.copytree(doom_run, folder)

    def when() -> dict[str, int]:
        files = {"vae": "vae.safetensors", "mdnrnn": "mdnrnn.safetensors"}
        times = {kind: (folder / "iterate" / name).stat().st_mtime_ns for kind, name in files.items()}
        games = [path.stat().st_mtime_ns for path in (folder / "iterate/episodes").glob("*.safetensors")]
        assert len(games) == 3
        return times | {"games": max(games)}

    before = when()
    words = ["--task", "takecover", "--profile", "smoke", "--run-dir", str(folder)]
    assert run_command("run", [*words, *change]) == 0
    after = when()
    assert {kind for kind in after if after[kind] != before[kind]} == set(made_again.split())


def test_a_finished_round_is_not_played_again(doom_run, capsys):
    before = (doom_run / "iterate" / "vae.safetensors").stat().st_mtime_ns
    words = ["--task", "takecover", "--profile", "smoke", "--run-dir", str(doom_run)]
    assert run_command("run", words) == 0
    assert "iterate: done before" in capsys.readouterr().err
    assert (doom_run / "iterate" / "vae.safetensors").stat().st_mtime_ns == before


def test_both_stores_keep_their_share(tmp_path, make_episode):
    stores = []
    for name, seed, steps in (("a", 1, 4), ("b", 2, 50)):
        store = EpisodeStore(tmp_path / name)
        store.add(make_episode(seed, steps), {})
        stores.append(store)
    frames = BothStores(*stores, share=0.25).sample_frames(np.random.default_rng(0), 40)
    of_second = [any(np.array_equal(f, g) for g in stores[1].frames(2)) for f in frames]
    assert len(frames) == 40 and sum(of_second) == 10


def test_calibrated_m_expects_as_many_ends_as_there_were():
    task = find_task("takecover")
    mdnrnn, lengths = MDNRNN(task).eval(), [40, 25, 60]
    frames, steps = sum(lengths) + 3, sum(lengths)
    dones = torch.zeros(steps)
    dones[[39, 124]] = 1.0  # two games ended by themselves, one was cut
    games = Sequences(
        torch.randn(frames, 64), torch.zeros(frames, 64), torch.rand(steps, 1), torch.ones(steps), dones,
        lengths,
    )  # fmt: skip
    calibrate(mdnrnn, games)
    expected, frame, step = 0.0, 0, 0
    for length in lengths:
        fresh = (torch.arange(length) == 0)[None]
        with torch.inference_mode():
            seen = games.mu[None, frame : frame + length], games.actions[None, step : step + length]
            prediction, _ = mdnrnn(*seen, None, fresh)
        odds = prediction.done_logit.exp() / mdnrnn.done_positive_weight
        expected += float((odds / (1 + odds)).sum())
        frame, step = frame + length + 1, step + length
    assert expected == pytest.approx(2.0, rel=1e-4)
    before = mdnrnn.done_positive_weight
    calibrate(mdnrnn, dataclasses.replace(games, dones=torch.zeros(steps)))
    assert mdnrnn.done_positive_weight == before
