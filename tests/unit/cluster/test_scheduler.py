"""dask's scheduler, as far as it can be seen without one; tests/faults has the real one."""

import sys
from concurrent.futures import Executor, Future

import pytest

import wmlib.cluster.scheduler
from wmlib.cluster.kind import kind
from wmlib.cluster.scheduler import Cluster, crew_at, run_worker
from wmlib.envs.errors import GameError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.log import RunLog

ADDRESS = "tcp://127.0.0.1:8786"


class Client:
    """A scheduler's client. there: address to threads; told: what each says of itself."""

    dashboard_link = "http://127.0.0.1:8787/status"

    def __init__(self):
        self.status, self.there, self.told, self.given = "running", {}, {}, []

    def add(self, address, name="", threads=1, **kind_of):
        self.there[address] = threads
        self.told[address] = name or address[-3:], kind() | kind_of

    def nthreads(self):
        return dict(self.there)

    def run(self, function, workers, on_error):
        return {address: self.told[address] for address in workers}

    def get_executor(self, **how):
        self.given.append(how.get("workers"))

        class At(Executor):
            def submit(self, function, /, *args):
                future = Future()
                future.set_result(function(*args))
                return future

        return At()


@pytest.fixture
def client(monkeypatch):
    client = Client()
    monkeypatch.setattr(wmlib.cluster.scheduler, "open_client", lambda address: client)
    monkeypatch.setattr(wmlib.cluster.scheduler, "LOOK_SECONDS", 0.0)
    return client


def test_it_says_who_is_there_who_comes_and_who_is_lost(client, capsys):
    client.add("tcp://10.0.0.1:1", "left:11")
    client.add("tcp://10.0.0.2:1", "right:12")
    cluster = Cluster(ADDRESS, RunLog())
    client.add("tcp://10.0.0.2:2", "right:13")
    del client.there["tcp://10.0.0.1:1"]
    assert not cluster.look()
    assert capsys.readouterr().err.splitlines() == [
        f"{ADDRESS}: 2 workers with 2 cores on 2 machines; dashboard: http://127.0.0.1:8787/status",
        "worker left:11 is lost: what it was playing is played again; 1 worker left",
        "worker right:13 has come; 2 workers now",
    ]
    assert cluster.submit(max, 3, 4).result() == 4
    assert client.given == [None]  # whoever is there


def test_workers_of_another_kind_are_refused_by_name_and_given_nothing(client, capsys):
    client.add("tcp://a:1", "old:1", torch="0.1")
    client.add("tcp://b:1", "wide:2", threads=8)
    client.add("tcp://c:1", "good:3")
    client.there["tcp://d:1"] = 1
    client.told["tcp://d:1"] = ModuleNotFoundError("No module named 'wmlib'")
    cluster = Cluster(ADDRESS, RunLog())
    said = capsys.readouterr().err
    assert "worker old:1 is refused: it has torch 0.1, not" in said
    assert "worker wide:2 is refused: it has 8 threads; start it with --nthreads 1" in said
    assert "worker tcp://d:1 is refused: it can't say of what kind it is (ModuleNotFoundError:" in said
    cluster.submit(max, 3, 4)
    assert client.given == [["tcp://c:1"]]
    client.add("tcp://e:1", "late:4")
    assert not cluster.look()
    cluster.refuse("good:3")  # as it plays, it turns out to be another
    cluster.submit(max, 3, 4)
    assert client.given[1:] == [["tcp://e:1"]]
    client.add("tcp://f:1", "last:5")
    del client.there["tcp://e:1"]
    assert cluster.look()  # what was meant for the lost one alone would wait for ever
    assert list(cluster.workers.values()) == ["last:5"]


@pytest.mark.parametrize("there", [True, False])
def test_without_a_worker_the_error_says_how_to_start_one(client, monkeypatch, there):
    monkeypatch.setattr(wmlib.cluster.scheduler, "WAIT_SECONDS", 0.1)
    if there:
        client.add("tcp://a:1", "old:1", numpy="1")
    message = f"no worker at {ADDRESS} is of our kind" if there else f"there is no worker at {ADDRESS}"
    with pytest.raises(GameError, match=f"{message}; start one: python -m wmlib worker {ADDRESS}"):
        Cluster(ADDRESS, RunLog(quiet=True))


def test_a_scheduler_that_is_gone_is_an_error(client, monkeypatch):
    client.add("tcp://a:1")
    cluster = Cluster(ADDRESS, RunLog(quiet=True))

    def closed(*_, **__):
        raise OSError("closed")

    gone = f"the scheduler at {ADDRESS} is gone; start it again"
    with monkeypatch.context() as patch, pytest.raises(GameError, match=gone):
        client.add("tcp://b:1")
        patch.setattr(client, "run", closed)  # amid a question
        cluster.look()
    client.status = "connecting"
    with pytest.raises(GameError, match=gone):
        cluster.look()


def test_without_dask_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    for use in (lambda: crew_at("local:1"), lambda: run_worker([ADDRESS])):
        with pytest.raises(ConfigError, match=r"pip install distributed bokeh -c constraints\.txt"):
            use()


def test_nobody_at_an_address_is_an_error(monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr(wmlib.cluster.scheduler, "CONNECT_SECONDS", 0.5)
    with pytest.raises(GameError, match=r"no scheduler answers at tcp://127.0.0.1:1 .*start one"):
        crew_at("tcp://127.0.0.1:1")
