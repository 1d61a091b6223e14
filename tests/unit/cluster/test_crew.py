"""A crew behind executors that misbehave. What is played are dreams, which need no process."""

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool

import numpy as np
import pytest
import torch

import wmlib.cluster.crew
from wmlib.cluster.crew import MOST_FAILURES, Crew
from wmlib.cluster.elsewhere import Far
from wmlib.cluster.order import Dreaming, Rules
from wmlib.envs.errors import GameError
from wmlib.runtime.files import pack
from wmlib.runtime.log import RunLog
from wmlib.worlds.play import play

RULES = Rules(8, dream=Dreaming(1.0, "cutoff", "float32"))
SEEDS = [5, 6]


class Tricky(Executor):
    """Does at once what it is given, but for some: trick(number of the submission) may say otherwise."""

    def __init__(self, trick=lambda number: None):
        self.trick, self.submitted, self.refused = trick, 0, []

    def submit(self, function, /, *args):
        number, self.submitted = self.submitted, self.submitted + 1
        future, result = Future(), self.trick(number)
        if isinstance(result, BaseException):
            future.set_exception(result)
        elif result is None:
            future.set_result(function(*args))
        elif result != "silent":
            future.set_result(result)
        return future

    def refuse(self, name):
        self.refused.append(name)


@pytest.fixture
def models(mdnrnn, starts):
    return {"mdnrnn": mdnrnn, "starts": starts}


@pytest.fixture
def params(controller):
    return torch.randn(4, controller.size, generator=torch.Generator().manual_seed(3))


@pytest.fixture
def expected(models, controller, params):
    return play(Far(None, controller.task, RULES, models, 2), controller, params, SEEDS)


def returns(crew, models, controller, params):
    return play(Far(crew, controller.task, RULES, models, 2), controller, params, SEEDS)


def test_any_executor_gives_the_same_and_weights_travel_once(models, controller, params, expected):
    with ThreadPoolExecutor(2) as executor:
        crew = Crew(executor, lambda: 1)
        for _ in range(2):
            assert np.array_equal(returns(crew, models, controller, params), expected)
    assert crew.traffic.orders == 8 and crew.traffic.received > 0
    size = sum(map(len, Far(crew, controller.task, RULES, models, 2).weights.values()))
    assert crew.traffic.weights == size


@pytest.mark.parametrize(
    "result",
    [
        RuntimeError("worker lost"),
        pack({}, {"worker": "a:1", "failed": "a game process died"}),
        b"no answer of ours",
    ],
)
def test_what_is_lost_is_played_again(models, controller, params, expected, result):
    crew = Crew(Tricky(lambda number: result if number in (1, 2) else None), lambda: 2)
    assert np.array_equal(returns(crew, models, controller, params), expected)


def test_what_goes_wrong_everywhere_is_an_error(models, controller, params):
    executor = Tricky(lambda number: pack({}, {"worker": "a:1", "failed": "no track"}))
    with pytest.raises(GameError, match=f"went wrong {MOST_FAILURES} times.*worker a:1: no track"):
        returns(Crew(executor, lambda: 1), models, controller, params)


def test_a_worker_of_another_kind_is_refused_by_name_and_its_games_are_played_by_others(
    models, controller, params, expected, capsys
):
    refusal = pack({}, {"worker": "old:7", "refused": "it has torch 1, not 2"})
    executor = Tricky(lambda number: refusal if number in (0, 3) else None)
    crew = Crew(executor, lambda: 2, RunLog())
    assert np.array_equal(returns(crew, models, controller, params), expected)
    assert executor.refused == ["old:7"] * 2
    assert capsys.readouterr().err.count("worker old:7 is refused: it has torch 1, not 2") == 1
    with pytest.raises(GameError, match="no worker is of our kind: old:7"):
        returns(Crew(Tricky(lambda number: refusal), lambda: 2), models, controller, params)


def test_a_slow_worker_costs_its_part_only(models, controller, params, expected, monkeypatch):
    monkeypatch.setattr(wmlib.cluster.crew, "LOOK_SECONDS", 0.01)
    monkeypatch.setattr(wmlib.cluster.crew, "SLOW_SECONDS", (0.05, 0.05))
    executor = Tricky(lambda number: "silent" if number in (0, 5) else None)
    assert np.array_equal(returns(Crew(executor, lambda: 3), models, controller, params), expected)


def test_what_may_hang_for_ever_is_sent_again(models, controller, params, expected, monkeypatch):
    monkeypatch.setattr(wmlib.cluster.crew, "LOOK_SECONDS", 0.01)
    executor = Tricky(lambda number: "silent" if number in (0, 1) else None)
    executor.look = lambda: executor.submitted > 1
    assert np.array_equal(returns(Crew(executor, lambda: 1), models, controller, params), expected)


@pytest.mark.parametrize("gone", [BrokenProcessPool("a process died"), None])
def test_an_executor_that_is_gone_is_an_error_with_its_words(models, controller, params, gone):
    executor = Tricky(lambda number: gone or "silent")
    if gone is None:
        submit, executor.gone = executor.submit, "the scheduler is gone; start it again"

        def cancelled(*args):
            future = submit(*args)
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

        executor.submit = cancelled
    with pytest.raises(GameError, match="is gone"):
        returns(Crew(executor, lambda: 1), models, controller, params)


def test_nothing_stays_under_way_when_work_is_broken_off(models, controller, params, monkeypatch):
    flying = []

    def never(*args):
        flying.append(Future())
        return flying[-1]

    executor = Tricky()
    executor.submit = never

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(wmlib.cluster.crew, "wait", interrupted)
    with pytest.raises(KeyboardInterrupt):
        returns(Crew(executor, lambda: 2), models, controller, params)
    assert flying and all(future.cancelled() for future in flying)
