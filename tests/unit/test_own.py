"""A game of one's own: what is derived of it, and everything that it works with, from one file."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from wmlib.agent import load_agent
from wmlib.cli import run_command
from wmlib.config import RunConfig
from wmlib.doctor import task_findings
from wmlib.envs.errors import GameError
from wmlib.envs.games import GameSpec
from wmlib.lesson import begin
from wmlib.measure import evaluation
from wmlib.own import Hands, derive, digest_of_source
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import load_tensors
from wmlib.stages.pipeline import Pipeline
from wmlib.task import Task, find_profile, find_task
from wmlib.widgets.dream_player import DreamPlayer
from wmlib.widgets.latent_explorer import LatentExplorer
from wmlib.widgets.mixture_explorer import MixtureExplorer
from wmlib.widgets.session import Session

ROOT = Path(__file__).parents[2]
CATCH = ROOT / "examples" / "catch.py"
SPEC = GameSpec("toy:Game")

TINY = """

def tiny():
    from wmlib.config import (
        CollectConfig, DreamConfig, EvaluateConfig, Machine, MDNRNNConfig, RunConfig, VAEConfig,
        Validation,
    )

    return RunConfig(
        task=TASK,
        stages=("collect", "vae", "mdnrnn", "dream", "evaluate"),
        collect=CollectConfig(episodes=2, horizon=25),
        vae=VAEConfig(steps=2, batch_size=2),
        mdnrnn=MDNRNNConfig(steps=2, batch_size=2, sequence_length=10),
        dream=DreamConfig(
            generations=1, population=4, episodes=1, horizon=10,
            validation=Validation(every=1, episodes=2, horizon=15),
        ),
        evaluate=EvaluateConfig(episodes=2, horizon=15),
        machine=Machine(lanes=2, workers=1),
    )


TASK = dataclasses.replace(TASK, profiles={"tiny": tiny})
"""


def whole(kind, count, low=0.0, high=1.0, names=None, limit=None, **said):
    """A task as it is derived of an environment that says this."""
    found = {
        "kind": kind,
        "bounds": [(low, high)] * count,
        "names": names,
        "limit": limit,
        "modules": [],
    }
    return derive(Task("mine", env="X-v0", **said), found, SPEC, "/x.py:TASK", "d1")


# What is derived


def test_a_choice_is_the_largest_number():
    task = whole("choice", 3, limit=70)
    assert task.actions == {f"action {i}": (0.0, 1.0) for i in range(3)} and task.horizon == 70
    raw = torch.tensor([[0.1, -2.0, 0.3], [5.0, 5.0, -1.0], [0.0, 0.0, 0.0]])
    assert task.to_action(raw).tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]
    assert task.nearest(raw.numpy()).tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0]]


def test_switches_are_on_above_their_threshold():
    task = whole("switches", 2)
    assert task.to_action(torch.tensor([[-0.1, 0.1]])).tolist() == [[0, 1]]
    assert task.nearest(np.array([[0.4, 0.6]])).tolist() == [[0, 1]]
    assert task.horizon == 1000


def test_free_numbers_go_by_tanh_from_bound_to_bound():
    task = whole("free", 2, -3.0, 5.0, actions=("a", "b"))
    raw = torch.tensor([[-50.0, 50.0], [0.0, 1.0]])
    expected = [[-3.0, 5.0], [1.0, 1 + 4 * np.tanh(1.0)]]
    torch.testing.assert_close(task.to_action(raw), torch.tensor(expected).float())
    assert list(task.actions) == ["a", "b"]
    assert task.nearest(np.array([-9.0, 2.5])).tolist() == [-3.0, 2.5]


@pytest.mark.parametrize(
    ("kind", "low", "high"), [("choice", 0, 1), ("switches", 0, 1), ("free", -2, 6)]
)
def test_each_explorer_plays_what_the_game_takes_and_all_of_it(kind, low, high):
    task = whole(kind, 3, float(low), float(high))
    games, every = 40, np.ones(40, bool)
    for make in task.explorers.values():
        policy = make(task, games)
        policy.restart(every, list(range(games)), None)
        actions = np.array([policy.act(every, None) for _ in range(200)])  # (T, games, A)
        assert actions.dtype == np.float32
        if kind == "choice":
            assert (actions.sum(-1) == 1).all() and set(np.unique(actions)) == {0, 1}
        elif kind == "switches":
            assert set(np.unique(actions)) == {0, 1}
        else:
            assert actions.min() >= -2 and actions.max() <= 6
            assert actions.min() < -1.5 and actions.max() > 5.5 and abs(actions.mean() - 2) < 0.5
        middle = actions.mean((0, 1)) if kind != "free" else (actions.mean((0, 1)) + 2) / 8
        np.testing.assert_allclose(middle, 1 / 3 if kind == "choice" else 0.5, atol=0.12)
    fresh = whole(kind, 3, float(low), float(high)).explorers["fresh"](task, 1)
    fresh.restart(np.ones(1, bool), [1], None)
    drawn = [tuple(fresh.act(np.ones(1, bool), None)[0]) for _ in range(30)]
    assert len(set(drawn)) > 2


@pytest.mark.parametrize(
    ("kind", "names", "keys"),
    [
        ("choice", ["noop", "left", "main", "right"], {"left": "left", "up": "main", "right": "right"}),
        ("choice", ["left", "right", "forward", "pickup"],
         {"left": "left", "up": "forward", "right": "right"}),
        ("choice", ["a", "b"], {"left": "a", "right": "b"}),
        ("choice", ["a", "b", "c"], {"left": "a", "right": "c"}),
        ("choice", ["a", "b", "c", "d"], {"left": "b", "up": "c", "right": "d"}),
        ("switches", ["a", "b", "c"], {"left": "a", "up": "b", "right": "c"}),
        ("free", ["x"], {"left": "x -", "right": "x +"}),
        ("free", ["x", "y", "z"], {"left": "x -", "right": "x +", "down": "y -", "up": "y +"}),
    ],
)  # fmt: skip
def test_keys_follow_from_the_names_of_actions(kind, names, keys):
    assert whole(kind, len(names), names=names).keys == keys


def test_held_keys_become_an_action_and_none_does_nothing():
    lander = whole("choice", 4, names=["noop", "left", "main", "right"]).hands()
    assert lander([]).tolist() == [1, 0, 0, 0] and lander(["up"]).tolist() == [0, 0, 1, 0]
    assert whole("choice", 3).hands()([]).tolist() == [0, 1, 0]
    assert whole("switches", 2).hands()(["left", "right"]).tolist() == [1, 1]
    free = whole("free", 2, -2.0, 4.0).hands()
    assert free(["left", "up"]).tolist() == [-2, 4] and free([]).tolist() == [0, 0]
    assert whole("free", 1, 1.0, 4.0).hands()([]).tolist() == [1]
    swapped = whole("free", 2, names=["a", "b"], keys={"up": "a +"}).hands()
    assert swapped(["up"]).tolist() == [1, 0] and isinstance(swapped, Hands)


@pytest.mark.parametrize(
    ("kind", "names", "players"),
    [
        ("choice", ["a", "b"], {"always a": [1, 0], "always b": [0, 1]}),
        ("switches", ["a", "b"], {"always a": [1, 0], "always b": [0, 1], "always nothing": [0, 0]}),
        ("free", ["x", "y"], {"always x -": [-2, 0], "always x +": [4, 0], "always y -": [0, -2],
                              "always y +": [0, 4], "always nothing": [0, 0]}),
    ],
)  # fmt: skip
def test_blind_players_always_do_the_same_and_all_that_there_is(kind, names, players):
    low, high = (-2.0, 4.0) if kind == "free" else (0.0, 1.0)
    task = whole(kind, 2, low, high, names=names, blind={"mine": len})
    assert task.blind.pop("mine") is len
    for name, make in task.blind.items():
        policy = make(task, 3)
        policy.restart(np.ones(3, bool), [1, 2, 3], None)
        for _ in range(2):
            assert policy.act(np.ones(3, bool), None).tolist() == [players[name]] * 3
    assert list(task.blind) == list(players)


def test_an_environment_may_name_more_actions_than_it_takes():
    task = whole("choice", 3, names=["left", "right", "forward", "pickup"])
    assert list(task.actions) == ["left", "right", "forward"]


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (
            {"actions": ("a", "b")},
            r"Task.actions is \('a', 'b'\); it must be 3: the environment takes so",
        ),
        (
            {"keys": {"left": "fly"}},
            r"Task.keys is .*; it must be such that each does one of: action 0, ",
        ),
        ({"keys": {"space": "action 0"}}, "for left, up, right and down, or some of them"),
        ({"region": (0, 5, 5, 5)}, r"Task.region is \(0, 5, 5, 5\); it must be four whole numbers"),
        ({"region": (0, 5)}, "four whole numbers"),
        ({"frame_skip": 0}, "Task.frame_skip is 0; it must be a whole number, 1 or more"),
        ({"horizon": 0}, "Task.horizon is 0"),
        ({"symmetric": True}, "can't turn the sign of a choice"),
    ],
)
def test_what_a_task_says_wrongly_is_named(said, message):
    with pytest.raises(ConfigError, match=message):
        whole("choice", 3, **said)


def test_names_and_environments_that_cannot_be_are_named():
    for said, message in (
        ({"name": "a/b"}, "letters, digits, - and _ alone"),
        ({"name": "carracing"}, "another: that game comes with wmlib"),
        ({"env": 5}, "a Gymnasium id, or what makes the environment"),
    ):
        with pytest.raises(ConfigError, match=message):
            Task(**{"name": "mine", "env": "X-v0"} | said)
    with pytest.raises(ConfigError, match="the task mine is as you wrote it; take find_task's"):
        _ = Task("mine", env="X-v0").action_size


def test_numbers_without_bounds_need_some():
    with pytest.raises(ConfigError, match=r'no bounds; say some: actions=\{"action 0": \(-1.0, 1.0\)\}'):
        whole("free", 1, -np.inf, np.inf)
    bounded = whole("free", 1, -np.inf, np.inf, actions={"push": (-2, 3)})
    assert bounded.actions == {"push": (-2.0, 3.0)}


def test_what_the_file_says_counts_but_for_its_profiles(tmp_path):
    path = tmp_path / "game.py"

    def digest(text):
        path.write_text(text)
        return digest_of_source(path, "TASK", Task("mine", env="X-v0", profiles={"big": big}))

    def big():
        """A profile: by its name."""

    rule = "REWARD = 1\n\n\ndef big():\n    return 3\n"
    assert digest(rule) == digest(rule.replace("return 3", "return 44\n"))
    of_another = rule + "\n\ndef wide():\n    return 5\n\n\nOTHER = Task('o', profiles={'wide': wide})\n"
    assert digest(of_another) == digest(of_another.replace("return 5", "return 55"))
    assert digest(rule) != digest(rule.replace("REWARD = 1", "REWARD = 2"))


# One file, and all that works with it


@pytest.fixture(scope="session")
def own_run(made_once):
    """A folder with a file of one's own, a copy of the example with a tiny profile, and a run of it."""

    def make(folder):
        folder.mkdir()
        text = CATCH.read_text().replace("import numpy", "import dataclasses\n\nimport numpy", 1)
        (folder / "mine.py").write_text(text + TINY)
        config = find_profile("tiny", str(folder / "mine.py"))
        Pipeline(config, folder / "run", quiet=True).run(config.stages)

    return made_once("own_run", make)


@pytest.fixture
def mine(own_run, tmp_path):
    """A copy that a test may change: the file and the run, which belongs to it."""
    shutil.copytree(own_run, tmp_path / "own")
    config = tmp_path / "own/run/config.json"
    config.write_text(config.read_text().replace(str(own_run), str(tmp_path / "own")))
    return tmp_path / "own"


def test_a_run_of_ones_own_knows_its_game(own_run):
    task = find_task(str(own_run / "mine.py"))
    assert find_task(task) is task and find_task(str(own_run / "mine.py:TASK")) is task
    assert (task.name, task.kind, task.horizon, task.source) == (
        "catch", "choice", 120, f"{own_run / 'mine.py'}:TASK"
    )  # fmt: skip
    assert set(task.profiles) == {"smoke", "laptop", "tiny"} and "gymnasium" in task.packages
    agent = load_agent(own_run / "run")
    assert agent.task is task and agent.controller.size == (16 + 128 + 1) * 3
    score = json.loads((own_run / "run/score.json").read_text())
    assert score["task"] == "catch" and all(0 <= r <= 10 and r == int(r) for r in score["returns"])
    facts = json.dumps(task.as_dict())
    assert task.digest in facts and str(own_run) not in facts  # a file may be moved


def test_a_task_object_is_as_good_as_its_file(own_run):
    config = find_profile("tiny", str(own_run / "mine.py"))
    task = find_task(config.task)
    assert (
        dataclasses.replace(config, task=task) == config == dataclasses.replace(config, task=config.task)
    )
    with pytest.raises(ConfigError, match="'mine' stands in no file"):
        RunConfig(task=Task("mine", env="CartPole-v1"))


def test_the_same_command_finds_all_done_and_an_edited_game_is_another(mine, capsys):
    words = ["--task", str(mine / "mine.py"), "--profile", "tiny", "--run-dir", str(mine / "run")]
    assert run_command("run", words) == 0
    said = capsys.readouterr().err
    assert said.count("done before") == 5
    text = (mine / "mine.py").read_text()
    (mine / "mine.py").write_text(text.replace("generations=1", "generations=2"))  # its profile
    assert find_profile("tiny", str(mine / "mine.py")).dream.generations == 2
    assert load_agent(mine / "run").task.name == "catch"
    (mine / "mine.py").write_text(text.replace("< 14", "< 15"))  # its rules
    before = sorted(path.stat().st_mtime_ns for path in (mine / "run").rglob("*"))
    assert run_command("run", words) == 2
    assert "holds episodes of another configuration" in capsys.readouterr().err
    assert before == sorted(path.stat().st_mtime_ns for path in (mine / "run").rglob("*"))


def test_an_agent_whose_game_was_edited_moved_or_came_with_it_asks_for_it(mine, capsys):
    run, game = mine / "run", mine / "mine.py"
    text = game.read_text()
    game.write_text(text.replace("< 14", "< 15"))
    with pytest.raises(
        ArtifactError, match=rf"edited since .* --task; {run}/game.py is as it learned it"
    ):
        load_agent(run)
    # Named, it is played nevertheless: one may want to see how an agent fares under other rules.
    assert (
        load_agent(run, task=str(game)).task.digest != load_agent(run, task=run / "game.py").task.digest
    )
    game.unlink()
    with pytest.raises(
        ArtifactError, match=r"mine.py:TASK, which .* plays, is not there; name its file"
    ):
        load_agent(run)
    (run / "config.json").write_text(json.dumps({"task": f"{run / 'game.py'}:TASK"}))
    with pytest.raises(
        ArtifactError, match=r"plays catch, a game of its own; name its file with --task"
    ):
        load_agent(run)  # code that came with a folder is not run unasked
    with pytest.raises(ConfigError, match=r"--task is takecover, but the agent in .* plays catch"):
        load_agent(run, task="takecover")
    words = ["--run-dir", str(run), "--episodes", "2", "--horizon", "5", "--world", "dream"]
    assert run_command("evaluate", [*words, "--task", f"{run / 'game.py'}"]) == 0
    assert "catch, dream: " in capsys.readouterr().out


def test_it_is_scored_played_and_exported_and_what_is_exported_can_be_loaded(
    own_run, tmp_path, capsys, monkeypatch
):
    game, out = str(own_run / "mine.py"), tmp_path / "shipped"
    short = ["--episodes", "2", "--horizon", "6"]
    assert run_command("evaluate", ["--task", game, "--policy", "fresh", *short]) == 0
    assert "catch, real: " in capsys.readouterr().out
    monkeypatch.setattr(evaluation, "BLIND_GAMES", 2)
    words = ["--task", game, "--policy", "blind", "--episodes", "2", "--horizon", "13", "--json"]
    assert run_command("evaluate", words) == 0
    printed = capsys.readouterr()
    told = [line.partition(":")[0] for line in printed.err.split("\n") if "validation games" in line]
    assert set(told) == set(find_task(game).policies())
    assert json.loads(printed.out)["player"] == told[0]  # the best of them
    assert run_command("evaluate", ["--task", game]) == 2
    said = capsys.readouterr().err
    assert "no agent of catch comes with this package" in said and f"run --task {game}:TASK" in said
    look = ["--run-dir", str(own_run / "run"), "--out", str(tmp_path / "look.png")]
    assert run_command("examine", look) == 0 and (tmp_path / "look.png").exists()
    capsys.readouterr()
    gif = tmp_path / "play.gif"
    run = ["--run-dir", str(own_run / "run")]
    assert run_command("play", [*run, "--out", str(gif), "--steps", "3"]) == 0 and gif.exists()
    assert run_command("export", [*run, *short]) == 2
    assert "--out: say where to" in capsys.readouterr().err
    assert run_command("export", [*run, *short, "--out", str(out)]) == 0
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["config"]["task"] == "game.py:TASK" and "game.py" in manifest["sha256"]
    assert str(own_run) not in (out / "manifest.json").read_text()
    with pytest.raises(ArtifactError, match=rf"a game of its own; .*--task; {out}/game.py is as it"):
        load_agent(out)
    agent = load_agent(out, task=str(out / "game.py"))
    assert agent.task.source == f"{out / 'game.py'}:TASK"


@torch.inference_mode()
def test_it_is_exported_for_the_page(own_run, tmp_path):
    """As a choice, with the keys that lead to each, and pictures of a game of it."""
    words = ["--run-dir", str(own_run / "run"), "--out", str(tmp_path), "--steps", "8", "--dreams", "2"]
    assert run_command("export-web", [*words, "--title", "Catch"]) == 0
    assert json.loads((tmp_path / "games.json").read_text())["titles"] == {"catch": "Catch"}
    world, about = load_tensors(tmp_path / "catch" / "world.safetensors")
    assert about["turn"] == "choice" and [each["name"] for each in about["keys"]] == ["left", "right"]
    # No key, left, right, both: the first of two that are held counts.
    assert about["hands"]["goals"] == [[0, 1, 0], [1, 0, 0], [0, 0, 1], [1, 0, 0]]
    record, _ = load_tensors(tmp_path / "catch" / "record.safetensors")
    assert record["actions"].shape == (8, 3) and (record["actions"].sum(1) == 1).all()
    assert {"mu", "logvar"} <= record.keys() and world["C.controller"].isfinite().all()


def test_a_lesson_a_session_and_the_widgets_take_it(own_run, tmp_path, monkeypatch):
    game = str(own_run / "mine.py")
    monkeypatch.setenv("WMLIB_PROFILE", "tiny")
    monkeypatch.setenv("WMLIB_RUN_DIR", str(tmp_path))
    with pytest.raises(ArtifactError, match=rf"{tmp_path}/catch holds no outcome of evaluate, and no"):
        begin(task=game)
    (tmp_path / "catch").symlink_to(own_run / "run")
    lesson = begin(task=game)
    assert lesson.own and lesson.run == tmp_path / "catch" and lesson.share(100) == 2
    agent = lesson.agent()
    with Session(agent, "both", "you", seed=3) as session:
        assert session.step(["left"]).action.tolist() == [1, 0, 0]
        assert session.step([]).action.tolist() == [0, 1, 0]
        assert set(session.view.worlds) == {"game", "dream"}
    LatentExplorer(agent.vae, np.array(lesson.episodes().frames(0)[:4]))
    MixtureExplorer(agent.vae, agent.mdnrnn, lesson.sequences(), lesson.episodes())
    player = DreamPlayer(agent)
    assert [key for key, _, _ in player.screen.buttons] == ["left", "right"]
    assert [name for name, *_ in player.screen.numbers] == ["left", "stay", "right"]
    player.close()


def test_the_doctor_tries_it(own_run):
    found = [str(finding) for finding in task_findings(str(own_run / "mine.py"), frames=30)]
    assert "an action is a choice of: left, stay, right; keys: left: left, right: right" in found[0]
    assert "cut after 120 frames; played with gymnasium" in found[1]
    assert "30 frames of a game, still going on, earned" in found[2]


# Games that are bad


BAD = """
import numpy as np
from gymnasium import Env, spaces
from wmlib.task import Task


class Game(Env):
    observation_space = spaces.Box(0, 255, (20, 20, 3), np.uint8)
    action_space = spaces.Discrete(2)

    def reset(self, seed=None, options=None):
        self.t = 0
        return np.zeros((20, 20, 3), np.uint8), {}

    def step(self, action):
        self.t += 1
        return STEP


TASK = Task("bad", env=Game, horizon=12)
"""


def bad(tmp_path, step, **more):
    path = tmp_path / "bad.py"
    text = BAD.replace("STEP", step)
    for old, new in more.items():
        text = text.replace(old, new)
    path.write_text(text)
    return path


def test_a_mistake_in_a_game_ends_the_run_cleanly_with_its_line_and_loses_nothing(tmp_path, capsys):
    """It appears in the second game, at some step, when another is already kept."""
    step = "np.zeros((20, 20, 3), np.uint8), 1.0 / (self.seed != 1 or self.t < 5), False, False, {}"
    path = bad(tmp_path, step, **{"self.t = 0": "self.t, self.seed = 0, seed"})
    line = path.read_text().split("\n").index(f"        return {step}") + 1
    words = ["--task", str(path), "--profile", "smoke", "--run-dir", str(tmp_path / "run")]
    words += ["--machine.lanes", "1", "--collect.policy", "held"]
    assert run_command("collect", words) == 2
    said = capsys.readouterr().err
    where = f"({path}, line {line}, in step)"
    assert f"error: the game failed: ZeroDivisionError: float division by zero {where}" in said
    assert "Traceback" not in said
    kept = json.loads((tmp_path / "run/episodes/manifest.json").read_text())["episodes"]
    assert [row["seed"] for row in kept] == [0]


def test_one_that_never_ends_is_cut_and_one_that_ends_at_once_is_told(tmp_path, capsys):
    """What they show is learned nevertheless: it is for the reader to judge."""
    ended = {}
    for name, end in (("never", "False"), ("at once", "True")):
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        path = bad(folder, f"np.zeros((20, 20, 3), np.uint8), 1.0, {end}, False, {{}}")
        words = ["--task", str(path), "--profile", "smoke", "--run-dir", str(folder / "run")]
        words += [
            "--collect.episodes",
            "2",
            "--stages",
            "collect",
            *(["vae", "mdnrnn"] * (end == "True")),
        ]
        words += ["--vae.steps", "1", "--mdnrnn.steps", "2"]
        assert run_command("run", words) == 0
        kept = json.loads((folder / "run/episodes/manifest.json").read_text())["episodes"]
        ended[name] = [(row["length"], row["terminated"]) for row in kept]
        told = capsys.readouterr().err
        if name == "never":
            assert "warning: every game earned 60: M sees no reward that depends on actions" in told
        else:
            assert "warning: every game ended with its first step" in told
    assert ended == {"never": [(60, False)] * 2, "at once": [(1, True)] * 2}


@pytest.mark.parametrize(
    ("replaced", "message"),
    [
        ({"spaces.Discrete(2)": "spaces.Text(3)"}, r"the action space is Text\(.*it must be Box"),
        ({"np.zeros((20, 20, 3)": "np.zeros((20, 20, 2)"}, r"observation is \(20, 20, 2\) uint8; a"),
        ({"    def reset": "    def __init__(self):\n        self.x = missing\n\n    def reset"},
         r"NameError: name 'missing' is not defined \(.*bad.py, line 12, in __init__\)"),
    ],
)  # fmt: skip
def test_a_game_that_cannot_be_made_is_refused_when_it_is_named(tmp_path, replaced, message):
    path = bad(tmp_path, "np.zeros((20, 20, 3), np.uint8), 0.0, False, False, {}", **replaced)
    with pytest.raises(GameError, match=message):
        find_task(str(path))


def test_what_is_no_task_is_named(tmp_path):
    path = tmp_path / "x.py"
    for text, message in (
        ("TASK = 5", r"x.py:TASK is of type int; write TASK = Task\(...\)"),
        (
            "from wmlib.task import Task\nTASK = Task('x', {'a': (0, 1)})",
            "env is None; it must be a Gym",
        ),
    ):
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            find_task(str(path))


def test_a_doctor_finds_a_game_that_differs_each_time(tmp_path):
    step = "np.full((20, 20, 3), np.random.default_rng().integers(255), np.uint8), 0.0, False, False, {}"
    found = [str(each) for each in task_findings(str(bad(tmp_path, step)), frames=5)]
    assert any(
        "FAIL  bad: two games of one seed differ\n      mend: draw all its chance" in f for f in found
    )
    assert any("warn  bad: an explorer earned nothing" in each for each in found)


def test_no_torch_is_loaded_where_a_game_is_played():
    code = (
        "import sys\n"
        "from wmlib.envs.adapter import Adapted\n"
        "from wmlib.runtime.source import sha256_of\n"
        f"Adapted({str(CATCH)!r}, sha256_of(Path({str(CATCH)!r}))).reset(seed=1)\n"
        "assert 'numpy' in sys.modules and 'torch' not in sys.modules"
    )
    import subprocess
    import sys

    code = "from pathlib import Path\n" + code
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_example_is_short_and_can_be_won():
    """By one who looks: it goes to where the ball will land."""
    lines = [line for line in CATCH.read_text().split('"""')[2].split("\n") if line.strip()]
    assert len(lines) <= 40
    from wmlib.runtime.source import load, sha256_of

    game = load(f"{CATCH}:Catch", sha256_of(CATCH))()
    game.reset(seed=1)
    total, over = 0.0, False
    while not over:
        _, reward, over, *_ = game.step(1 + int(np.sign(round((game.x - game.paddle) / 4))))
        total += reward
    assert total == 10
