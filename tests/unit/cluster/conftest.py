"""A scheduler without processes: what it is given is done at once, here."""

from concurrent.futures import Executor, Future

import pytest

from wmlib.cluster.crew import Crew
from wmlib.cluster.worker import Worker

ADDRESS = "local:1"


class Here(Executor):
    """Has orders played by a worker of its own, at once."""

    def __init__(self):
        self.worker = Worker()

    def submit(self, function, /, *args):
        future = Future()
        future.set_result(self.worker.play(*args))
        return future


@pytest.fixture
def crew(monkeypatch):
    """The crew at `local:1`, wherever a machine names that."""
    executor = Here()
    crew = Crew(executor, lambda: 2)
    for user in ("agent", "measure.evaluation", "stages.collect"):
        monkeypatch.setattr(f"wmlib.{user}.crew_at", {ADDRESS: crew}.__getitem__)
    yield crew
    executor.worker.close()
