"""The peers compute what ours compute: only then is it fair to compare their speed."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import cluster, gpu, peers
from benchmarks.dreams import has_bfloat16
from benchmarks.games import population
from benchmarks.measure import side_by_side
from benchmarks.resolution import measure
from benchmarks.table import PAGE, RESULTS, main, with_part
from wmlib.agent import load_agent
from wmlib.config import MDNRNNConfig, VAEConfig
from wmlib.mdnrnn import mdnrnn_loss
from wmlib.runtime.files import REFERENCE
from wmlib.vae import vae_loss
from wmlib.worlds import RealWorld, play

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def agent():
    return load_agent(REFERENCE / "carracing")


def test_the_plain_vae_is_ours(agent):
    plain = peers.copy_weights(peers.PlainVAE(), agent.vae)
    x, noise = torch.rand(4, 3, 64, 64), torch.randn(4, 32)
    theirs, ours = plain(x, noise), agent.vae(x, noise)
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(vae_loss(x, *ours)[0], peers.vae_loss(x, *theirs, 0.5), rtol=1e-4, atol=0)


def test_the_plain_mdnrnn_is_ours(agent):
    plain = peers.copy_weights(peers.PlainMDNRNN(), agent.mdnrnn)
    z, actions = torch.randn(4, 7, 32), torch.rand(4, 6, 3)
    rewards, dones = torch.randn(4, 6), torch.randint(0, 2, (4, 6)).float()
    mask = torch.ones(4, 6)
    mask[0, 3:] = 0
    config = MDNRNNConfig()
    ours, _ = mdnrnn_loss(agent.mdnrnn(z[:, :-1], actions)[0], z[:, 1:], rewards, dones, mask, config)
    theirs = peers.mdnrnn_loss(plain(z[:, :-1], actions), z[:, 1:], rewards, dones, mask, config)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_plain_mdnrnn_is_ours_in_doom_too():
    doom = load_agent(REFERENCE / "takecover")
    plain = peers.copy_weights(peers.PlainMDNRNN(64, 2, 512, False), doom.mdnrnn)
    z, actions, fresh = torch.randn(4, 7, 64), torch.rand(4, 7, 1), torch.zeros(4, 7)
    fresh[:, 0] = 1
    ours, _ = doom.mdnrnn(z, actions, None, fresh)
    logpi, mu, sigma, reward, done, _ = plain(z, torch.cat([actions, fresh[..., None]], -1))
    assert (reward == 1).all()
    for mine, other in (
        (ours.logpi, logpi), (ours.mu, mu), (ours.logsigma.exp(), sigma), (ours.done_logit, done)
    ):  # fmt: skip
        torch.testing.assert_close(mine, other, rtol=1e-3, atol=1e-4)


def test_the_peers_rollout_is_the_same_game(agent):
    params, seeds, horizon = population(agent, 2), [1, 2], 80
    with peers.RolloutPool(agent, horizon) as pool:
        theirs, steps = pool.play("real", params, seeds)
    with RealWorld(agent.vae, agent.mdnrnn, 4, 2, horizon) as world:
        ours = play(world, agent.controller, params, seeds)
    assert steps == 2 * 2 * horizon
    np.testing.assert_allclose(ours, theirs, atol=0.5)  # a tile is worth 3


def test_medians_of_turns_by_hand(monkeypatch):
    """Three turns, in which ours takes 1, 9 and 2 seconds, and the peer 4 each."""
    clock = iter([0, 1, 1, 5, 5, 14, 14, 18, 18, 20, 20, 24])
    monkeypatch.setattr("time.perf_counter", lambda: next(clock))
    row = side_by_side("x", "steps/s", "", lambda: 8, lambda: 8, 3)
    assert (row.ours, row.peer, row.ratio) == (4.0, 2.0, 2.0)


def test_a_small_picture_is_quicker_and_flickers_more():
    (fast, flicker), (slow, calm) = (measure(size, 4, 60) for size in ("160x120", "640x480"))
    assert fast > slow and flicker > 1.5 * calm


def test_json_has_a_row_for_each_measurement(tmp_path):
    out, figure = tmp_path / "rows.json", tmp_path / "rows.png"
    command = [sys.executable, "-m", "benchmarks", "--quick", "--only", "dream", "--json", str(out)]
    done = subprocess.run([*command, "--figure", str(figure)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(out.read_text())
    assert found["machine"] == done.stdout.splitlines()[0]
    rows = found["rows"]
    names = [row["name"] for row in rows]
    kinds = ("", "_limit", "_bf16", "_gemm") if has_bfloat16() else ("", "_limit")
    assert names == [f"{dream}{kind}" for dream in ("dream", "dream_doom") for kind in kinds]
    assert ("has no bfloat16: rows named _bf16 and _gemm" in done.stdout) is not has_bfloat16()
    for row in rows:
        assert row.keys() == {"name", "ours", "peer", "ratio", "unit", "what"}
        assert row["ratio"] == pytest.approx(row["ours"] / row["peer"], rel=0.01)
        assert f"{row['ours']:,.0f}" in done.stdout
    assert figure.read_bytes().startswith(b"\x89PNG")


def measured():
    found = json.loads((ROOT / "benchmarks/results.json").read_text())
    return {row["name"]: row for row in found["rows"]}


def test_the_page_says_what_was_measured():
    rows = measured()
    page, _, _ = PAGE.read_text(encoding="utf-8").partition("## With AVX2 alone")
    row = r"^\| `(\w+)`: .* \| ([\d,]+) \| ([\d,]+) \| .* \| \*\*([\d.]+)×\*\* \|$"
    said = re.findall(row, page, re.MULTILINE)
    assert {name for name, *_ in said} == rows.keys()
    for name, ours, peer, ratio in said:
        row = rows[name]
        assert (ours, peer) == (f"{row['ours']:,.0f}", f"{row['peer']:,.0f}"), name
        assert ratio == f"{row['ratio']:.1f}", name


def test_the_page_has_what_was_measured_with_avx2_alone(tmp_path, monkeypatch):
    page = PAGE.read_text(encoding="utf-8")
    assert with_part(page) == page
    row = {
        "name": "dream_limit",
        "ours": 7000.4,
        "peer": 9000,
        "ratio": 0.78,
        "unit": "x/s",
        "what": "a; b",
    }
    (tmp_path / RESULTS["avx2"]).write_text(json.dumps({"machine": "a laptop", "rows": [row]}))
    monkeypatch.setattr("benchmarks.table.HERE", tmp_path)
    written = with_part(page)
    assert "Measured on: a laptop.\n" in written and "has not been measured" not in written
    assert "| `dream_limit`: a; b | 7,000 | 9,000 | x/s | **0.78×** |\n" in written
    assert "alone reach 8 billion" in written and "nothing, 33 and 3,024 frames/s." in written
    assert with_part(written) == written and written.partition("<!--")[0] == page.partition("<!--")[0]


def test_only_a_whole_measurement_is_kept(capsys):
    with pytest.raises(SystemExit):
        main(["--keep", "--quick"])
    assert "--keep keeps a whole measurement" in capsys.readouterr().err


def test_the_readmes_ratios_are_of_these():
    rows = measured()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    said = re.findall(r"\*\*([\d.]+)×\*\*\s+\(`(\w+)`\)", readme)
    assert len(said) == readme.count("×**") >= 3
    for ratio, name in said:
        assert ratio == f"{rows[name]['ratio']:.1f}", name


def test_make_vec_has_half_of_the_dreams_own_speed_or_more():
    rows = [row for name, row in measured().items() if re.fullmatch(r"make_vec\w*_world", name)]
    assert all(row["ratio"] >= 0.5 for row in rows)


@pytest.mark.parametrize("option", ["--json", "--figure"])
def test_what_can_not_be_written_is_refused_before_anything_is_measured(
    tmp_path, monkeypatch, capsys, option
):
    monkeypatch.setattr("benchmarks.table.load_agent", None)
    assert main([option, str(tmp_path)]) == 2
    assert capsys.readouterr().err.strip().endswith(f"is a folder, not a file; choose another {option}")


def test_a_plan_by_hand():
    """A batch takes 10 ms, a frame 1 ms, a beginning 100 ms: 64 workers play 16 games each, at once."""
    found = {
        "one_core": {"batch": 10.0, "frame": 1.0, "beginning": 100.0},
        "scaling": [{"sent": 2000.0, "received": 500.0, "client": 0.01}],
        "cma": {"867": 0.5},
        "weights": 20e6,
    }
    made = cluster.plan(found, 64)
    assert made.wide == 16 and made.bottleneck == "playing"
    assert made.playing == pytest.approx(1000 * 0.026 + 1.6)
    assert made.client == pytest.approx(0.64)
    assert made.network == pytest.approx(64 * 2500 / 125e6)
    assert made.generation == pytest.approx(27.6 + 0.64 + 64 * 2500 / 125e6 + 0.5)
    assert made.first == pytest.approx(64 * 20e6 / 125e6)
    assert cluster.plan(found, 1024).playing == pytest.approx(1000 * 0.011 + 0.1)
    two = cluster.plan(found, 2)  # 32 orders of 32 games, 16 each
    assert two.playing == pytest.approx(16 * (1000 * 0.042 + 3.2))
    slow = found | {"scaling": [found["scaling"][0] | {"client": 0.1}]}
    assert cluster.plan(slow, 1024).bottleneck == "the client's orders"


def test_the_page_of_more_machines_has_the_tables_of_what_was_measured():
    page = cluster.PAGE.read_text(encoding="utf-8")
    found = json.loads(cluster.MEASURED.read_text())
    assert cluster.with_tables(page, found) == page
    assert re.findall(r"^\| (\S+) \| .* days", page, re.MULTILINE) == ["cores"]
    assert len(re.findall(r"^\| (?:256|1,024) \|", page, re.MULTILINE)) == 2


def test_without_a_gpu_it_says_so(monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert main(["--gpu"]) == 2
    assert (
        "There is no GPU here that torch can use (CUDA): nothing was measured."
        in capsys.readouterr().out
    )


def test_what_is_measured_on_a_gpu(agent, store, monkeypatch):
    """With the CPU in the place of both: each row is there, and counts what it did."""
    monkeypatch.setattr(gpu, "LANES", (8,))
    monkeypatch.setattr(gpu, "side_by_side", lambda name, *_: (name, _[2](), _[3]()))
    monkeypatch.setattr(gpu, "VAEConfig", lambda steps: VAEConfig(steps=1, batch_size=4))
    monkeypatch.setattr(
        gpu, "MDNRNNConfig", lambda steps: MDNRNNConfig(steps=1, batch_size=2, sequence_length=8)
    )
    doom = load_agent(REFERENCE / "takecover")
    rows = list(gpu.gpu_rows(store, {"dream": agent, "dream_doom": doom}, 1, 1, torch.device("cpu")))
    assert rows == [
        ("train_v_gpu", 4, 4), ("train_m_gpu", 16, 16), ("dream_gpu_8", 400, 400),
        ("dream_doom_gpu_8", 400, 400),
    ]  # fmt: skip
