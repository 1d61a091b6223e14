import json

import numpy as np
import pytest
import torch

from wmlib.agent import Agent, Explorer, load_agent
from wmlib.cluster.elsewhere import Far
from wmlib.cluster.order import Rules
from wmlib.config import (
    CollectConfig,
    DreamConfig,
    DreamSearch,
    EvaluateConfig,
    Machine,
    MDNRNNConfig,
    RealConfig,
    RefitConfig,
    RoundsConfig,
    RunConfig,
    VAEConfig,
    Validation,
)
from wmlib.envs.errors import GameError
from wmlib.envs.frames import to_frame
from wmlib.envs.games import open_games
from wmlib.evolution.cmaes import scores_in
from wmlib.measure.evaluation import evaluate_policy
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.log import RunLog, each_event
from wmlib.stages.export import Scoring, export_run
from wmlib.stages.pipeline import Pipeline
from wmlib.task import find_task
from wmlib.worlds.play import Listener, Observer, play


class Listing:
    """A crew of so many workers that plays nothing, and keeps the orders."""

    def __init__(self, workers):
        self.workers, self.orders = lambda: workers, []

    def play(self, orders, weights):
        self.orders = orders
        for number, order in reversed(list(enumerate(orders))):  # none comes at its turn
            returns = torch.from_numpy(order.seeds * 1.0)
            yield number, {"returns": returns, "steps": torch.tensor(3 * len(order))}


@pytest.mark.parametrize(
    ("workers", "games", "sizes"),
    [(2, 64, [32, 32]), (4, 64, [16] * 4), (8, 3, [1] * 3), (2, 70, [24, 24, 22]), (1, 5, [5])],
)
def test_every_worker_has_a_part_and_none_is_wider_than_a_batch(controller, workers, games, sizes):
    crew = Listing(workers)
    far = Far(crew, controller.task, Rules(5), {})
    seeds = np.arange(games) + 100
    heard = []
    got = play(far, controller, torch.zeros(1, 867), seeds, observers=[Listener(heard.append)])
    assert [len(order) for order in crew.orders] == sizes
    assert got.tolist() == [seeds.tolist()]
    assert sorted(heard) == seeds.tolist()
    assert far.steps_played == 3 * games


def test_long_recorded_games_come_in_small_parts(task):
    crew = Listing(1)
    crew.play = lambda orders, weights: crew.orders.extend(orders) or []
    list(Far(crew, task, Rules(1000, policy="brownian"), {}).episodes(np.arange(12)))
    assert [len(order) for order in crew.orders] == [5, 5, 2]
    assert {order.rules.keep for order in crew.orders} == {"episodes"}


def test_whoever_wants_to_see_steps_is_told_that_there_are_none(controller):
    far = Far(Listing(1), controller.task, Rules(5), {})
    with far, pytest.raises(ValueError, match="a Listener hears the ends"):
        play(far, controller, torch.zeros(1, 867), [1], observers=[Observer()])


@pytest.fixture
def agent(task, vae, mdnrnn, controller, starts):
    return Agent(task, vae, mdnrnn, controller, torch.zeros(controller.size), starts)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dreams_in_batches_are_those_of_worlds_of_that_width(agent, crew, dropout):
    search = DreamSearch(population=4, episodes=2, horizon=10, precision="float32", dropout=dropout)
    params = torch.randn(4, 867, generator=torch.Generator().manual_seed(1))
    levers = agent.controller, 4, True, 0.1  # patience, charge and jerk
    batches = agent.dream_for(search, 1.2, Machine(dream_batch=3))
    got = scores_in(batches, *levers)(params, [1, 2])
    worlds = [agent.dream(n, 10, 1.2, dropout=dropout) for n in (3, 3, 2)]
    parts = [  # games 0 to 2, 3 to 5, and 6 to 7
        scores_in(world, *levers)(params[whose], np.array(seeds)[:, None])
        for world, whose, seeds in zip(
            worlds, [[0, 0, 1], [1, 2, 2], [3, 3]], [[1, 2, 1], [2, 1, 2], [1, 2]], strict=True
        )
    ]
    assert got.ravel().tolist() == np.concatenate(parts).ravel().tolist()
    assert batches.steps_played == sum(world.steps_played for world in worlds)
    shared = agent.dream_for(search, 1.2, Machine(dream_batch=3, scheduler="local:1"))
    assert scores_in(shared, *levers)(params, [1, 2]).tolist() == got.tolist()
    assert shared.steps_played == batches.steps_played and crew.traffic.orders == 3
    whole = agent.dream_for(search, 1.2, Machine())
    np.testing.assert_allclose(got, scores_in(whole, *levers)(params, [1, 2]), rtol=1e-4)


def test_every_lever_of_a_search_in_the_game_goes_along(agent, crew, monkeypatch):
    opened = []

    def noted(spec, *how):
        opened.append(spec)
        return open_games(spec, *how)

    monkeypatch.setattr("wmlib.cluster.worker.open_games", noted)
    levers = agent.controller, 3, True, 0.1  # patience, charge and jerk
    params = 3 * torch.randn(2, 867, generator=torch.Generator().manual_seed(1))
    how = 12, "sketch"
    with agent.real(4, Machine(workers=1), *how, options={"grass": 0.7}) as world:
        expected = scores_in(world, *levers)(params, [1, 2])
    far = agent.real(4, Machine(scheduler="local:1"), *how, options={"grass": 0.7})
    assert scores_in(far, *levers)(params, [1, 2]).tolist() == expected.tolist()
    assert far.steps_played == world.steps_played < 4 * 12  # patience was out
    assert opened == [agent.task.game("sketch").with_options({"grass": 0.7})]


def test_an_explorer_can_be_told_to_others(agent, monkeypatch):
    crew = Listing(2)
    crew.play = lambda orders, weights: crew.orders.extend(orders) or []
    monkeypatch.setattr("wmlib.agent.crew_at", {"local:2": crew}.__getitem__)
    far = Explorer(agent, 0.25).elsewhere(40, Machine(scheduler="local:2"))
    list(far.episodes(np.arange(4), agent.params))
    first = crew.orders[0]
    assert first.rules.noise == 0.25 and first.rules.controller == agent.controller.config
    assert torch.equal(first.params, agent.params[None])
    assert first.weights.keys() == {"vae", "mdnrnn"} and set(first.weights.values()) == set(far.weights)
    assert isinstance(agent.real(3, Machine(scheduler="local:2")), Far)
    with pytest.raises(ConfigError, match="carracing has no 'doom' game"):  # here, and not at a worker's
        agent.real(3, Machine(scheduler="local:2"), kind="doom")


def test_a_crew_is_what_it_needs_for_a_real_game(agent):
    far = Far(None, agent.task, Rules(5), {"vae": agent.vae, "mdnrnn": agent.mdnrnn}, 2)
    with pytest.raises(ValueError, match="needs a crew"):
        play(far, agent.controller, agent.params[None], [1])


# A whole run, of a game of one's own

GAME = """
import numpy as np
from gymnasium import Env, spaces

from wmlib.task import Task


class Fog(Env):
    observation_space = spaces.Box(0, 255, (64, 64, 3), np.uint8)
    action_space = spaces.Box(-1.0, 1.0, (2,))

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.fog, self.t = self.np_random.integers(0, 256, (64, 64, 3), np.uint8), 0
        return self.fog, {}

    def step(self, action):
        self.t += 1
        self.fog = self.fog // 2 + self.np_random.integers(0, 100, (64, 64, 3), np.uint8)
        return self.fog, float(action[0]) - 0.1 * self.t, self.t == 22, False, {}


TASK = Task("fog", env=Fog)
"""


@pytest.fixture
def game(tmp_path, monkeypatch):
    for user in ("own.Games", "worlds.real.open_games", "cluster.worker.open_games"):
        monkeypatch.setattr(f"wmlib.{user}", GamesHere)
    path = tmp_path / "fog.py"
    path.write_text(GAME)
    return path


class GamesHere:
    """Many games, in this process: to start others would take most of the test's time."""

    def __init__(self, spec, lanes, workers):
        self.spec, self.lanes, self.games = spec, lanes, {}
        self.frames, self.cut = np.zeros((lanes, 64, 64, 3), np.uint8), np.zeros(lanes, bool)

    def reset(self, seeds):
        for lane, seed in enumerate(seeds):
            if seed is not None:
                game = self.games.setdefault(lane, self.spec.make())
                self.frames[lane] = to_frame(game.reset(seed=seed)[0], self.spec.kept_rows)
        return self.frames.copy()

    def step(self, actions, active):
        rewards, ended = np.zeros(self.lanes), np.zeros(self.lanes, bool)
        self.cut = np.zeros(self.lanes, bool)
        for lane in np.flatnonzero(active):
            picture, *came, _ = self.games[lane].step(actions[lane])
            self.frames[lane] = to_frame(picture, self.spec.kept_rows)
            rewards[lane], ended[lane], self.cut[lane] = came
        return self.frames.copy(), rewards, ended

    def describe(self):
        return self.games.setdefault(0, self.spec.make()).describe()

    def close(self):
        for game in self.games.values():
            game.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def a_run(game, **machine):
    """All stages, as small as they can be, with all that a search may be told."""
    levers = dict(patience=2, charge=True, jerk=0.1)
    test = Validation(every=1, episodes=2, horizon=2)
    dream = DreamConfig(
        generations=1, population=4, episodes=2, horizon=6, validation=test, dropout=0.2, **levers
    )
    vae = VAEConfig(steps=1, batch_size=2)
    mdnrnn = MDNRNNConfig(steps=1, batch_size=2, sequence_length=5)
    return RunConfig(
        task=str(game),
        stages=("collect", "vae", "mdnrnn", "dream", "rounds", "refit", "real", "evaluate"),
        collect=CollectConfig(episodes=3, horizon=8),
        vae=vae,
        mdnrnn=mdnrnn,
        dream=dream,
        rounds=RoundsConfig(
            rounds=1, games=4, components=2, horizon=20, margin=2, mdnrnn=mdnrnn,
            dream=DreamSearch(generations=1, population=4, episodes=2, horizon=5, dropout=0.2, **levers),
            validation=test,
        ),
        refit=RefitConfig(episodes=2, horizon=8, vae=vae, mdnrnn=mdnrnn),
        real=RealConfig(
            generations=1, population=4, episodes=2, horizon=4, validation=test, **levers
        ),
        evaluate=EvaluateConfig(episodes=2, horizon=3),
        machine=Machine(workers=1, dream_batch=3, **machine),
    )  # fmt: skip


def test_a_run_of_a_game_of_ones_own_leaves_the_same_files_and_events(tmp_path, game, crew, monkeypatch):
    """With every stage that plays: who plays has no say in anything that is told or kept."""
    left = []
    for name, machine in (("here", {}), ("there", {"scheduler": "local:1"})):
        config, run = a_run(game, **machine), tmp_path / name
        assert crew.traffic.orders == 0
        if machine:
            monkeypatch.setattr("wmlib.worlds.real.open_games", None)  # the crew alone opens games
        Pipeline(config, run, quiet=True).run(config.stages)
        plan = Scoring(EvaluateConfig(2, horizon=3), 2, game="exact")
        command = "python -m wmlib run"
        scores = export_run(run, tmp_path / "out", command, config, plan, config.machine)
        scores["brownian"] = evaluate_policy(
            find_task(game), "brownian", plan.config, config.machine, RunLog(quiet=True), "exact"
        )
        events = list(each_event(run))
        for told in events:
            del told["seconds"]
            told.pop("wall_seconds", None)
            if "seed" in told:  # episodes are told as they come, in whatever order
                told.pop("step")
        done = json.loads((run / "done.json").read_text())
        scores = {name: score.as_dict() for name, score in scores.items()}
        left.append((done, sorted(map(json.dumps, events)), scores))
    assert left[0] == left[1]
    told = {event["stage"] for event in events if event.get("frames")}
    assert told == {"dream", "rounds", "real"}
    # A worker that has the file no longer, or another one, is refused.
    agent = load_agent(tmp_path / "there", task=game)
    for content, why in ((GAME + "OTHER = 1\n", "its game is another"), (None, "fog.py can't be read")):
        game.write_text(content) if content else game.unlink()
        with pytest.raises(GameError, match=why):
            play(agent.real(1, config.machine, 2), agent.controller, agent.params[None], [1])
