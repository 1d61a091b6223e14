"""A crew: workers that play games for us, reached through an executor.

Any `concurrent.futures.Executor` will do. An order's outcome depends on the order alone, so whatever
becomes of a worker costs nothing but time: what it did not deliver is played again by another.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Executor,
    Future,
    wait,
)
from dataclasses import dataclass, field
from types import MappingProxyType

from torch import Tensor

from wmlib.cluster.kind import kind
from wmlib.cluster.order import Order
from wmlib.cluster.worker import serve
from wmlib.envs.errors import GameError
from wmlib.runtime.files import unpack
from wmlib.runtime.log import RunLog

LOOK_SECONDS = 1.0
"""Between two looks at who is there."""
MOST_FAILURES = 3
"""Times that one order may go wrong, each on whatever worker."""
_SLOW = 4.0
"""An order that takes so many times as long as the longest so far is given to another worker too."""
SLOW_SECONDS = 30.0, 600.0
"""But not before so long; and where none has come back yet, after so long."""
_MOST_COPIES = 3


@dataclass
class Traffic:
    """What went to and fro: orders that came back, bytes each way, and seconds that workers played."""

    orders: int = 0
    sent: int = 0
    weights: int = 0
    received: int = 0
    seconds: float = 0.0


@dataclass
class _Flight:
    """An order that is under way. meant_for: the worker for whom weights are with it. since: when it was
    sent."""

    number: int
    weights: Mapping[str, bytes]
    meant_for: str
    since: float = field(default_factory=time.monotonic)


class Crew:
    """Workers behind an executor.

    Args:
        executor: whatever takes `submit`. It may have `look()`, which says whether what was submitted
            may hang for ever and has to be sent again, and `refuse(name)`, by which it learns whom to
            leave out; `Cluster` has both.
        workers: tells how many there are.
        log: where it says whom it refused.
    """

    def __init__(self, executor: Executor, workers: Callable[[], int], log: RunLog | None = None):
        self.executor, self.workers = executor, workers
        self.log = log or RunLog(quiet=True)
        self.traffic = Traffic()
        self._refused: set[str] = set()

    def play(
        self, orders: Sequence[Order], weights: Mapping[str, bytes]
    ) -> Iterator[tuple[int, dict[str, Tensor]]]:
        """Have orders played.

        Args:
            weights: all that the orders name, by digest.

        Yields:
            the number of an order and what came of it, as they come back.

        Raises:
            GameError: there is nobody left to play, or an order goes wrong wherever it is played.
        """
        if hasattr(self.executor, "look"):
            self.executor.look()
        batch = _Batch(self, orders, weights)
        try:
            while batch.left:
                batch.send()
                yield from batch.receive()
        finally:  # an error or Ctrl-C among them
            batch.cancel()

    def refuse(self, name: str, why: str) -> None:
        """Leave a worker out. It is said once."""
        if name not in self._refused:
            self._refused.add(name)
            self.log.say(f"worker {name} is refused: {why}")
        if hasattr(self.executor, "refuse"):
            self.executor.refuse(name)


class _Batch:
    """Orders on their way, and what is known of each."""

    def __init__(self, crew: Crew, orders: Sequence[Order], weights: Mapping[str, bytes]):
        self.crew, self.weights = crew, weights
        self.requests = [order.pack(kind=kind()) for order in orders]
        self.left = set(range(len(orders)))
        # An order, the weights that go with it, and for whom.
        self.waiting: deque[tuple[int, dict[str, bytes], str]] = deque((n, {}, "") for n in self.left)
        self.flying: dict[Future, _Flight] = {}
        self.failures = [0] * len(orders)
        self.refusals = [0] * len(orders)
        self.longest: float | None = None

    def send(self) -> None:
        """Two orders for each worker, so that none waits for the next; then those that take too long."""
        while self.waiting and len(self.flying) < 2 * max(1, self.crew.workers()):
            number, weights, meant_for = self.waiting.popleft()
            if number in self.left:
                self._submit(number, weights, meant_for)
        if not self.waiting:
            for number in self._late():
                self._submit(number)

    def receive(self) -> Iterator[tuple[int, dict[str, Tensor]]]:
        done, _ = wait(self.flying, LOOK_SECONDS, FIRST_COMPLETED)
        for future in done:
            flight = self.flying.pop(future, None)
            if flight is None:  # a copy of what came back just now
                continue
            outcome = self._outcome(future, flight)
            if outcome is not None:
                self._forget(flight.number)
                yield flight.number, outcome
        if not done and hasattr(self.crew.executor, "look") and self.crew.executor.look():
            hanging = {flight.number for flight in self.flying.values()}
            self.cancel()
            self.waiting.extendleft((number, {}, "") for number in sorted(hanging, reverse=True))

    def cancel(self) -> None:
        for future in self.flying:
            future.cancel()
        self.flying.clear()

    def _submit(
        self, number: int, weights: Mapping[str, bytes] = MappingProxyType({}), meant_for: str = ""
    ) -> None:
        request, traffic = self.requests[number], self.crew.traffic
        traffic.sent += len(request)
        traffic.weights += sum(map(len, weights.values()))
        future = self.crew.executor.submit(serve, request, dict(weights))
        self.flying[future] = _Flight(number, weights, meant_for)

    def _forget(self, number: int) -> None:
        """It is done: copies of it need not be."""
        self.left.discard(number)
        for future in [future for future, flight in self.flying.items() if flight.number == number]:
            future.cancel()
            del self.flying[future]

    def _late(self) -> list[int]:
        """Orders that take so long that another worker is to try them."""
        least, unknown = SLOW_SECONDS
        limit = unknown if self.longest is None else max(least, _SLOW * self.longest)
        now, sent = time.monotonic(), {}
        for flight in self.flying.values():
            sent.setdefault(flight.number, []).append(flight.since)
        return [n for n, at in sent.items() if len(at) < _MOST_COPIES and now - max(at) > limit]

    def _outcome(self, future: Future, flight: _Flight) -> dict[str, Tensor] | None:
        """What came back; None where nothing did that can be used: the order then waits again."""
        number = flight.number
        try:
            answer = future.result()
            tensors, about = unpack(answer, "a worker's answer")
        except (CancelledError, BrokenExecutor) as error:
            raise GameError(
                getattr(self.crew.executor, "gone", "the executor that plays the games is gone")
            ) from error
        except Exception as error:  # whatever a worker stumbled over: another one tries
            return self._failed(number, f"{type(error).__name__}: {error}")
        if number not in self.left:
            return None
        name = about["worker"]
        self.crew.traffic.received += len(answer)
        if "refused" in about:
            self.crew.refuse(name, about["refused"])
            self.refusals[number] += 1
            if self.refusals[number] > MOST_FAILURES * max(1, self.crew.workers()):
                raise GameError(f"no worker is of our kind: {name}: {about['refused']}")
        elif "missing" in about:
            coming = self._on_their_way(name)
            lacking = {d: self.weights[d] for d in about["missing"] if d not in coming}
            self.waiting.appendleft((number, lacking, name))
            return None
        elif "failed" in about:
            return self._failed(number, f"worker {name}: {about['failed']}")
        else:
            self.crew.traffic.orders += 1
            self.crew.traffic.seconds += about["seconds"]
            self.longest = max(self.longest or 0.0, about["seconds"])
            return tensors
        self.waiting.appendleft((number, {}, ""))
        return None

    def _on_their_way(self, name: str) -> set[str]:
        """Digests of the weights that were sent to a worker with an order that has not come back."""
        sent = [(f.weights, f.meant_for) for f in self.flying.values()]
        waiting = [(weights, meant_for) for _, weights, meant_for in self.waiting]
        return {d for weights, meant_for in (*sent, *waiting) if meant_for == name for d in weights}

    def _failed(self, number: int, why: str) -> None:
        self.failures[number] += 1
        if self.failures[number] >= MOST_FAILURES:
            raise GameError(f"games went wrong {MOST_FAILURES} times, the last time so: {why}")
        self.crew.log.say(f"games are played again: {why}")
        self.waiting.appendleft((number, {}, ""))
