"""The studies run, go on where they were broken off, and say what they measure."""

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from studies import ablations, curve, dreaming, dreams, levers, questions, search, teaching
from studies.driving import drive_again
from studies.table import Table, answer, machine
from wmlib.agent import load_agent
from wmlib.config import (
    CollectConfig,
    Coordinates,
    DreamConfig,
    DreamSearch,
    Machine,
    MDNRNNConfig,
    RealConfig,
    RoundsConfig,
    Validation,
)
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.files import REFERENCE, load_json
from wmlib.runtime.log import RunLog
from wmlib.worlds import real
from wmlib.worlds.record import record

ROOT = Path(__file__).parents[3]
TINY = RealConfig(
    population=4, episodes=1, horizon=24, average=2, coordinates=Coordinates("predictive", 4)
)
EFFORT = search.Effort(frames=1, games=2)


@pytest.fixture(scope="module")
def agent():
    return load_agent(REFERENCE / "carracing", "controller_dream.safetensors")


@pytest.fixture(scope="module")
def doom():
    return load_agent(REFERENCE / "takecover")


@pytest.fixture(scope="module")
def driven(agent):
    """Two games that the agent drove on validation tracks, and their seeds."""
    seeds = np.array([1_500_001, 1_500_002])
    with agent.real(2, Machine(workers=1), horizon=270) as world:
        return record(world, agent.controller, agent.params.expand(2, -1), seeds, log=RunLog()), seeds


class QuickGames:
    """Games without processes, pictures or physics. A frame is noise that follows from seed and time;
    every third one pays three points, the others cost a tenth. Doom's end after 40 to 54 frames."""

    def __init__(self, spec, lanes, workers):
        self.lanes, self.cut, self.ends = lanes, np.zeros(lanes, bool), "takecover" in spec.entry_point
        self.seeds, self.t = np.zeros(lanes, int), np.zeros(lanes, int)

    def reset(self, seeds):
        for lane, seed in enumerate(seeds):
            if seed is not None:
                self.seeds[lane], self.t[lane] = seed, 0
        return self.frames()

    def step(self, actions, active):
        self.t += active
        over = active & (self.t >= 40 + self.seeds % 15) & self.ends
        return self.frames(), active * np.where(self.t % 3, -0.1, 3.0), over

    def frames(self):
        rngs = (np.random.default_rng(key) for key in zip(self.seeds, self.t, strict=True))
        return np.stack([rng.integers(0, 256, (64, 64, 3), np.uint8) for rng in rngs])

    def close(self):
        pass


@pytest.fixture(autouse=True)
def quick_games(monkeypatch):
    """What the studies play here. (`driven` is the game itself: it was made before.)"""
    monkeypatch.setattr(real, "open_games", QuickGames)
    monkeypatch.setattr(search, "OWN_GAMES", 2)


# The table


def a_row(mean):
    return {"mean": mean, "sd": 1.0, "n": 2, "frames": 10}


def test_a_row_is_made_once_for_an_effort(tmp_path):
    path, made = tmp_path / "results" / "table.json", []

    def work(mean):
        made.append(mean)
        return a_row(mean)

    for asked in ({"games": 2}, {"games": 2}, {"games": 3}):
        Table(path, asked).make("plain", 1, lambda asked=asked: work(100.0 + asked["games"]))
    assert made == [102.0, 103.0]
    (row,) = load_json(path)["rows"]
    assert (row["mean"], row["asked"], row["machine"]) == (103.0, {"games": 3}, machine())
    assert row["wall_seconds"] >= 0


def test_a_table_compares_on_the_same_seeds(tmp_path):
    table = Table(tmp_path / "table.json", {})
    for name, means in {"plain": (10.0, 20.0, 30.0), "better": (14.0, 28.0)}.items():
        for seed, mean in enumerate(means):
            table.make(name, seed, lambda mean=mean: a_row(mean))
    *_, plain, better = str(table).splitlines()
    assert plain.split() == ["plain", "20.0", "3"]
    assert better.split() == ["better", "21.0", "2", "+6.0", "±", "2.0"]  # 4 and 8


def test_answers_stand_beside_each_other(tmp_path):
    path = tmp_path / "answers.json"
    for name in ("laptop", "overnight"):
        answer(path, name, "ends", ask=lambda: {"n": 3})
    kept = load_json(path)
    assert {kept[name]["ends"]["n"] for name in ("laptop", "overnight")} == {3}
    assert kept["laptop"]["ends"].keys() == {"n", "wall_seconds", "machine"}


def test_a_file_that_is_no_table_is_refused(tmp_path):
    path = tmp_path / "table.json"
    path.write_text("[1]")
    with pytest.raises(ArtifactError, match="no results file; move it away"):
        Table(path, {})
    assert path.read_text() == "[1]"


# Searches in the game


def test_a_search_goes_on_where_it_was(tmp_path, agent):
    rows = []
    for folder in ("in two", "in one"):
        for frames in (1, 150) if folder == "in two" else (150,):  # a generation is 96 frames
            effort = search.Effort(frames, 2)
            rows.append(search.search("plain", 1, TINY, agent, effort, tmp_path / folder))
    first, second, whole = rows
    assert (first["generations"], second["generations"], second["frames"]) == (1, 2, 192)
    for name in ("mean", "frames", "generations", "params", "n", "frames_scored"):
        assert second[name] == whole[name]
    (place,) = (tmp_path / "in two").glob("plain-1-*")
    assert len(search.frames_of(place)) == 2  # the first generation was not played again


def test_every_lever_is_one_of_the_searchs():
    for lever in levers.LEVERS:
        config = levers.search_for(lever)
        games = (config.population + (config.population // 2) * config.finals / config.episodes) * (
            config.episodes
        )
        assert games == pytest.approx(96, rel=0.01), lever  # as many in a generation


def test_the_table_of_levers(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(levers, "BASE", TINY)
    monkeypatch.setattr(levers, "LEVERS", {"as it is": {}, "penalty on grass": {"grass": 0.05}})
    out = tmp_path / "levers.json"
    command = ["--out", str(out), "--folder", str(tmp_path / "work"), "--frames", "1", "--games", "2"]
    command += ["--seeds", "1", "--levers", "as it is", "penalty on grass"]
    levers.main(command)
    kept = out.read_bytes()
    rows = load_json(out)["rows"]
    assert [row["name"] for row in rows] == ["as it is", "penalty on grass"]
    for row in rows:
        assert (row["seed"], row["n"], row["frames"], row["frames_scored"]) == (1, 2, 96, 48)
        assert row["wall_seconds"] > 0 and row["machine"] == machine()
    capsys.readouterr()
    levers.main(command)
    assert out.read_bytes() == kept
    assert "as it is" in capsys.readouterr().out


# Ablations


def test_a_silent_h_has_no_say(agent):
    silent = ablations.with_its_h_silent(agent)
    features = torch.randn(2, 288)
    features[1, :32] = features[0, :32]  # the same z, another h
    mine, theirs = agent.controller.act(silent.params[None], features[None])[0]
    torch.testing.assert_close(mine, theirs)
    assert not torch.equal(*agent.controller.act(agent.params[None], features[None])[0])


def test_z_is_drawn_as_v_holds_it_possible(agent):
    with ablations.SampledWorld(agent.vae, agent.mdnrnn, 2, 1, horizon=40) as world:
        world.reset(seed=[3, 3])
        drawn = []
        for _ in range(40):
            features, *_ = world.step(torch.tensor([[0.0, 0.1, 0.0]] * 2))
            apart = features[0, :32] - features[1, :32]  # the same game, seen twice
            drawn.append(apart / (world.perception.logvar[0] / 2).exp())
    assert float(torch.cat(drawn).std()) == pytest.approx(2**0.5, rel=0.15)


def test_the_table_of_ablations(tmp_path, monkeypatch):
    monkeypatch.setattr(ablations, "CONFIG", replace(TINY, start="zero"))
    monkeypatch.setattr(ablations, "PARTS", (ablations.ALL, "z and h of an untrained M"))
    explored, learns = CollectConfig(episodes=3, horizon=30), MDNRNNConfig(steps=2, batch_size=4)
    dream = DreamConfig(generations=2, population=4, episodes=2, horizon=10, sigma=0.05)
    one_round = RoundsConfig(
        rounds=1, games=4, components=4, horizon=30, patience=0, mdnrnn=learns,
        dream=DreamSearch(generations=1, population=4, episodes=2, horizon=10),
    )  # fmt: skip
    lesson = teaching.Lesson(explored, learns, dream, one_round)
    monkeypatch.setattr(ablations, "LESSONS", {"taught in rounds": lesson})
    monkeypatch.setattr(teaching, "HORIZON", 30)
    out = tmp_path / "ablations.json"
    command = ["--out", str(out), "--folder", str(tmp_path / "work"), "--frames", "1", "--games", "2"]
    ablations.main([*command, "--seeds", "1"])
    rows = {row["name"]: row for row in load_json(out)["rows"]}
    again = {ablations.SILENT, ablations.DRAWN}
    assert rows.keys() == {ablations.ALL, "z and h of an untrained M", "taught in rounds"} | again
    assert rows[ablations.SILENT]["frames"] == 0  # nothing was learned for it
    taught = rows["taught in rounds"]
    assert taught["frames"] == 3 * 30 + 4 * 30
    assert taught["learning_batches"] == 4
    assert {row["first_seed"] for row in rows.values()} == {ablations.FIRST_SEED}


def test_all_lessons_cost_the_same():
    def cost(lesson):
        dreamt = lesson.dream.generations * lesson.dream.population * lesson.dream.episodes
        frames, batches = lesson.explored.episodes * lesson.explored.horizon, lesson.learns.steps
        if lesson.rounds:
            each = lesson.rounds.dream
            dreamt += lesson.rounds.rounds * each.generations * each.population * each.episodes
            batches += lesson.rounds.rounds * lesson.rounds.mdnrnn.steps
            frames += lesson.rounds.rounds * lesson.rounds.games * 500  # about what a game lasts there
        return dreamt, batches, frames

    plain = cost(teaching.LESSONS["plain"])
    for lesson in teaching.LESSONS.values():
        assert cost(lesson) == pytest.approx(plain, rel=0.05)


# Levers of dreams


def small(subject, **levers):
    learns = subject.learns and MDNRNNConfig(steps=2, batch_size=4)
    explored = subject.explored and CollectConfig(episodes=3, horizon=30)
    search = replace(subject.search, generations=2, population=4, episodes=3, horizon=12)
    return replace(
        subject, games=8, patience=0, horizon=60, learns=learns, explored=explored, search=search,
        levers=levers,
    )  # fmt: skip


def test_the_table_of_dreams_of_the_car(tmp_path, monkeypatch):
    every = {
        "as it is": dreaming.Lever(margin=20),
        "three Ms": dreaming.Lever({"dropout": 0.1}, {"optimism_weight": 5.0}, margin=0, models=3),
        "tested": dreaming.Lever(margin=20, tests=Validation(every=1, episodes=2)),
    }
    monkeypatch.setattr(dreaming, "SUBJECTS", {"carracing": (small(dreaming.CAR, **every), 2)})
    out = tmp_path / "dreaming.json"
    command = ["carracing", "--out", str(out), "--folder", str(tmp_path / "work"), "--seeds", "1"]
    dreaming.main(command)
    rows = {row["name"]: row for row in load_json(out)["rows"]}
    assert rows.keys() == every.keys()
    for row in rows.values():
        assert row["dreamt_steps"] == 2 * 4 * 3 * 12  # of all Ms together
        assert (row["n"], row["frames_scored"]) == (2, 120)
    ground = 8 * 60 + 3 * 30
    assert rows["as it is"]["frames"] == ground
    assert rows["tested"]["frames"] == ground + 3 * 2 * 60
    assert (rows["as it is"]["learning_batches"], rows["three Ms"]["learning_batches"]) == (2, 6)


def test_doom_begins_late_and_is_calibrated(tmp_path, doom):
    subject, before = small(dreaming.DOOM), doom.mdnrnn.done_positive_weight
    ground = dreaming.Ground(subject, doom, 1, tmp_path)
    late = dreaming.dreamer(ground, dreaming.Lever(margin=0, calibrated=True))
    assert late.starts.h.abs().sum() > 0 and not late.params.any()
    assert ground.games.dones.sum() == 8
    assert late.mdnrnn.done_positive_weight != before
    assert dreaming.dreamer(ground, dreaming.Lever()).starts is doom.starts
    assert doom.mdnrnn.done_positive_weight == before  # others stand on it too
    row = dreaming.taught(
        "late", dreaming.Lever(margin=0), ground, search.Effort(0, 2, kind="exact"), tmp_path
    )
    assert row["frames"] == sum(ground.games.lengths) and row["learning_batches"] == 0


def test_every_lever_of_dreams_costs_as_many_steps():
    for subject, _ in dreaming.SUBJECTS.values():
        for lever in subject.levers.values():
            search = replace(subject.search, **lever.dream)
            plain = subject.search
            assert search.horizon * search.episodes == plain.horizon * plain.episodes


# Dreams as one sees them


def test_a_road_is_grey(agent, driven):
    grass = np.zeros((1, 64, 64, 3), np.uint8)
    grass[..., 1] = 200
    road = np.full((1, 64, 64, 3), 102, np.uint8)
    assert dreams.road_share(grass) == 0 and dreams.road_share(road) == 1
    seen = dreams.roads_in_games(agent, driven[0])["100"]
    assert seen == {"road": 2, "n": 2}  # it had not left it yet


def test_what_is_told_of_a_dream(tmp_path, agent):
    found = dreams.examine(agent, 2, 3, 1.0, tmp_path / "dreams.png", horizon=270)
    assert (found["games"], found["frames"], found["dreams"]) == (2, 540, 3)
    assert 0 <= found["holds_z"] <= 200
    assert all(0 <= seen["road"] <= 3 for seen in found["roads"].values())
    assert (tmp_path / "dreams.png").exists()
    json.dumps(found)


def test_a_dream_holds_until_it_strays_farther_than_a_picture_that_stands_still(monkeypatch):
    dream, still = np.array([1, 2, 3, 4.0]), np.array([2, 3, 2.5, 9.0])
    monkeypatch.setattr(dreams, "open_loop_drift", lambda *_, **__: (dream, still))
    agent = load_agent(REFERENCE / "carracing")
    assert dreams.holds_for(agent, None, painter=False) == 2
    monkeypatch.setattr(dreams, "open_loop_drift", lambda *_, **__: (dream + still[0], still))
    assert dreams.holds_for(agent, None, painter=False, horizon=4) == 4  # late, but then it is nearer
    monkeypatch.setattr(dreams, "open_loop_drift", lambda *_, **__: (dream, dream + 1))
    assert dreams.holds_for(agent, None, painter=False, horizon=4) == 4


def test_dooms_dreams_last(doom):
    last = dreams.lives(replace(doom, params=torch.zeros_like(doom.params)), 4, 1.0)
    assert 4 >= last["100"] >= last["200"] >= last["400"] >= 0 and last["mean"] > 1


# Questions


def test_a_game_driven_again_is_the_game(driven):
    games, seeds = driven
    drive, frames = drive_again(seeds[0], games.actions[:270].numpy(), [100])
    assert drive.reward == pytest.approx(games.returns[0], abs=1e-3)
    assert len(drive.speed) == 270 and frames.shape == (1, 64, 64, 3)
    assert (drive.offset.std() < 5 and drive.ending == "missed tiles") or not drive.finished


def test_how_games_end(agent, driven, monkeypatch):
    monkeypatch.setattr(questions, "driver_games", lambda agent, games: driven)
    told = questions.endings(agent, 2)
    assert sum(part["n"] for part in told["endings"].values()) == told["n"] == 2
    assert told["mean"] == pytest.approx(driven[0].returns.mean(), abs=1e-3)
    assert told["frames"] == 540


def test_what_is_asked_of_eyes_and_basis(tmp_path, agent, driven, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(questions, "driver_games", lambda agent, games: driven)
    told = questions.eyes(agent, 2)
    for who in ("driver", "explorers"):
        assert told[who]["frames"] > 20 and 1 < told[who]["squared_error"] < 200
        assert told[who]["r2_zh"].keys() >= {"offset", "slip", "bend in 10 m"}
    r2 = questions.basis(agent, 2)["r2"]["steer"]
    assert r2[288] > 0.9  # all combinations tell all that the driver does: it is linear


def test_the_reliability_of_a_ranking_is_that_of_the_noise_put_in():
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 30, (400, 1)) + rng.normal(0, 50, (1, 100)) + rng.normal(0, 90, (400, 100))
    told = questions.reliability(returns)
    assert told["sd_candidate"] == pytest.approx(30, rel=0.1)
    assert told["sd_rest"] == pytest.approx(90, rel=0.02)
    few = np.corrcoef(returns[:, :4].mean(1), returns[:, 4:].mean(1))[0, 1]  # nearly the true order
    assert told["correlation"][4] == pytest.approx(few, abs=0.1)


# The curve


def test_the_curve_counts_frames_of_the_game_and_hours_of_work(tmp_path):
    rows = [
        ("collect", 0, 0, {"began": True}), ("collect", 1, 1800, {"length": 200}),
        ("dream", 1, 3600, {"sigma": 0.1, "frames": 10**6}),  # dreamt
        ("dream", 6, 3600, {"real": 500.0, "real_sd": 9.0, "n": 16, "frames": 16_000}),
        ("real", 0, 9000, {"began": True}),  # an hour and a half of sleep
        ("real", 1, 10_800, {"sigma": 0.1, "frames": 50_000}),
        ("real", 6, 10_800, {"real": 700.0, "real_sd": 9.0, "n": 16, "frames": 16_000}),
    ]  # fmt: skip
    events = "".join(
        json.dumps({"stage": stage, "step": step, **more, "seconds": seconds}) + "\n"
        for stage, step, seconds, more in rows
    )
    (tmp_path / "events.jsonl").write_text(events)
    first, last = curve.curve(tmp_path)
    assert (first["hours"], first["frames"]) == (1.0, 16_200)
    assert (last["hours"], last["frames"]) == (1.5, 82_200)
    assert curve.passed([first, last], 600) == 1.5 and curve.passed([first, last], 850) is None
    out = tmp_path / "curve.json"
    curve.main([f"laptop={tmp_path}", "--out", str(out)])
    assert load_json(out)["runs"]["laptop"]["passed"] == {"600": 1.5, "850": None}
    with pytest.raises(ArtifactError, match="no run with tests"):
        curve.main([f"laptop={tmp_path / 'none'}", "--out", str(out)])


@pytest.mark.parametrize("study", [ablations, curve, dreaming, dreams, levers, questions])
def test_help_tells_what_a_study_does(study, capsys):
    with pytest.raises(SystemExit) as stopped:
        study.main(["--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert study.__doc__.strip().splitlines()[0] in text
    assert f"python -m {study.__name__}" in text
    lines = [line for line in text.splitlines() if len(line) > 120]
    assert not lines


def test_the_page_of_results_names_studies_that_are_there():
    page = (ROOT / "docs/results.md").read_text(encoding="utf-8")
    named = re.findall(r"python -m studies\.(\w+)([^`|]*)", page)
    every = {"ablations", "curve", "dreaming", "dreams", "levers", "questions"}
    assert {name for name, _ in named} == {*every, "claims"}
    for name, options in named:
        if name == "claims":
            continue
        source = (ROOT / "studies" / f"{name}.py").read_text(encoding="utf-8")
        assert all(f'"{option}"' in source for option in re.findall(r"--[a-z]+", options))
