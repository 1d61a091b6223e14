"""dask's scheduler, as an executor: where it is, who works there, whom it lost.

dask is an extra, `[cluster]`, and is loaded when a run names a scheduler.
"""

import functools
import logging
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Executor, Future

from wmlib.cluster.crew import LOOK_SECONDS, Crew
from wmlib.cluster.kind import describe, difference, kind
from wmlib.envs.errors import GameError
from wmlib.runtime.cores import core_count
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.log import RunLog
from wmlib.runtime.signals import Stop, deaf_to_ctrl_c

CONNECT_SECONDS = 10.0
"""For the scheduler to answer."""
WAIT_SECONDS = 120.0
"""For a first worker, and for another when all are gone."""

_HOW = (
    "start one: python -m wmlib worker {address}; or leave the option scheduler away, and run the same "
    "command again"
)


@functools.cache
def crew_at(address: str) -> Crew:
    """The crew of a scheduler, or of local:N; it stays for as long as this process.

    Raises:
        ConfigError: dask is not installed. GameError: nobody answers there.
    """
    log = RunLog()
    cluster = Cluster(address, log)
    return Crew(cluster, lambda: len(cluster.workers), log)


class Cluster(Executor):
    """Workers of one scheduler that are of our kind, each with one core.

    Args:
        address: of the scheduler, such as tcp://host:8786; or local:N, for N worker processes here.
    """

    def __init__(self, address: str, log: RunLog):
        self.address, self.log = address, log
        self.workers: dict[str, str] = {}  # their addresses, and the names that they give themselves
        self.refused: set[str] = set()
        self.gone = (
            f"the scheduler at {address} is gone; start it again, or leave the option scheduler away, "
            "and run the same command again"
        )
        self._looked = 0.0
        self.client = open_client(address)
        self._wait_for_one()
        count, machines = len(self.workers), {name.partition(":")[0] for name in self.workers.values()}
        log.say(
            f"{address}: {_count(count, 'worker')} with {_count(count, 'core')} on "
            f"{_count(len(machines), 'machine')}; dashboard: {self.client.dashboard_link}"
        )

    def submit(self, function, /, *args, **kwargs) -> Future:
        if not self.workers:
            self._wait_for_one()
        # Where all may play, dask itself sees to it that the work of a lost one is done by another.
        only = {"workers": list(self.workers), "allow_other_workers": False} if self.refused else {}
        return self.client.get_executor(pure=False, **only).submit(function, *args, **kwargs)

    def look(self) -> bool:
        """See who has come and who is lost, and say so.

        Returns:
            whether what was submitted may wait for one who is lost.
        """
        if time.monotonic() - self._looked < LOOK_SECONDS:
            return False
        self._looked = time.monotonic()
        there = self._there()
        lost = [address for address in self.workers if address not in there]
        for address in lost:
            name, left = self.workers.pop(address), _count(len(self.workers), "worker")
            self.log.say(f"worker {name} is lost: what it was playing is played again; {left} left")
        for name in self._meet(there):
            self.log.say(f"worker {name} has come; {_count(len(self.workers), 'worker')} now")
        if not self.workers:
            self._wait_for_one()
        return bool(lost and self.refused)

    def refuse(self, name: str) -> None:
        """Give this worker nothing more to do."""
        for address in [address for address, known in self.workers.items() if known == name]:
            del self.workers[address]
            self.refused.add(address)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Leave the scheduler; one of our own, and its workers, end."""
        own = self.client.cluster
        self.client.close(timeout=2)
        if own:
            own.close(timeout=10)

    def _there(self) -> Mapping[str, int]:
        """Who is there, of whatever kind: addresses, and threads of each."""
        if self.client.status != "running":
            raise GameError(self.gone)
        try:
            return self.client.nthreads()
        except OSError as error:
            raise GameError(self.gone) from error

    def _meet(self, there: Mapping[str, int]) -> list[str]:
        """Ask those who are new of what kind they are. Those who are of ours are taken; returns their
        names. The others are refused."""
        new = [a for a in there if a not in self.workers and a not in self.refused]
        try:
            told = self.client.run(describe, workers=new, on_error="return") if new else {}
        except OSError as error:
            raise GameError(self.gone) from error
        taken = []
        for address, said in told.items():
            threads, name = there[address], address
            if isinstance(said, OSError):  # it is gone again
                continue
            if isinstance(said, BaseException):
                why = f"it can't say of what kind it is ({type(said).__name__}: {said})"
            else:
                name, theirs = said
                why = difference(kind(), theirs)
                if threads != 1:
                    why = f"it has {threads} threads; start it with --nthreads 1"
            if why:
                self.refused.add(address)
                self.log.say(f"worker {name} is refused: {why}")
            else:
                self.workers[address] = name
                taken.append(name)
        return taken

    def _wait_for_one(self) -> None:
        """Until there is a worker of our kind.

        Raises:
            GameError: none came.
        """
        began, told, how = time.monotonic(), False, _HOW.format(address=self.address)
        while not self._meet(there := self._there()):
            waited = time.monotonic() - began
            if (there and self.refused >= there.keys()) or waited > WAIT_SECONDS:
                raise GameError(
                    f"no worker at {self.address} is of our kind; {how}"
                    if there
                    else f"there is no worker at {self.address}; {how}"
                )
            if not told and waited > 2:
                self.log.say(f"there is no worker at {self.address} yet; {how}")
                told = True
            time.sleep(0.2)


def open_client(address: str):
    """dask's client of a scheduler; of one in this process for local:N."""
    try:
        import dask
        import distributed
    except ImportError as error:
        raise ConfigError(
            f"Machine.scheduler needs dask, which is not installed ({error}): "
            "pip install distributed bokeh -c constraints.txt"
        ) from error
    # What is worth saying, we say.
    for name in ("distributed", "tornado", "bokeh"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    dask.config.set({"distributed.admin.large-graph-warning-threshold": "1GB"})  # V is 17 MB
    kind_, _, count = address.partition(":")
    try:
        if kind_ != "local":
            return distributed.Client(address, timeout=CONNECT_SECONDS, set_as_default=False)
        settings = {
            "distributed.worker.daemon": False,  # a worker's games are processes too
            "distributed.deploy.lost-worker-timeout": "1 hour",  # to be back, on a busy machine
        }
        dask.config.set(settings)
        with Stop(obeys_twice=False), deaf_to_ctrl_c():
            cluster = distributed.LocalCluster(
                n_workers=int(count), threads_per_worker=1, processes=True, host="127.0.0.1",
                dashboard_address="127.0.0.1:0", silence_logs=logging.CRITICAL,
            )  # fmt: skip
        return distributed.Client(cluster, set_as_default=False)
    except (OSError, ValueError, TimeoutError) as error:
        raise GameError(
            f"no scheduler answers at {address} ({error}); start one: dask scheduler --host 127.0.0.1, "
            "or leave the option scheduler away"
        ) from error


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def run_worker(argv: Sequence[str]) -> int:
    """Worker processes for a scheduler, one a core: dask's own command, with what ours need."""
    try:
        import dask
        from distributed.cli.dask_worker import main
    except ImportError as error:
        raise ConfigError(
            f"a worker needs dask, which is not installed ({error}): "
            "pip install distributed bokeh -c constraints.txt"
        ) from error
    dask.config.set({"distributed.worker.daemon": False})  # a worker's games are processes too
    ours = ["--nthreads", "1", "--no-dashboard"]
    if not any(word.partition("=")[0] in ("--nworkers", "--help") for word in argv):
        ours += ["--nworkers", str(core_count())]
    os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
    main.main([*ours, *argv], prog_name="python -m wmlib worker")
    return 0
