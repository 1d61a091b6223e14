"""A game of your own: its task made whole, by what its environment says, and two profiles for it.

The file that it stands in is all that there is to know: `find_task` reads it, makes the environment once
in a process of its own, and fills in what the task does not say.
"""

import ast
import dataclasses
import functools
import hashlib
import importlib.metadata
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from wmlib.config import (
    CollectConfig,
    Coordinates,
    DreamConfig,
    EvaluateConfig,
    IterateConfig,
    Machine,
    MDNRNNConfig,
    RealConfig,
    RoundsConfig,
    RunConfig,
    VAEConfig,
    Validation,
)
from wmlib.data.explorers import BrownianPolicy, ConstantPolicy, FreshPolicy, HeldPolicy
from wmlib.envs.games import Games, GameSpec
from wmlib.runtime.fields import ConfigError, check
from wmlib.runtime.source import load, parts_of, sha256_of
from wmlib.task import Task, find_task, tanh

KEYS = ("left", "up", "right", "down")
_SYNONYMS = {"up": ("up", "forward", "main", "jump", "fire", "gas"), "down": ("down", "back", "brake")}
_IDLE = ("noop", "no-op", "none", "nothing", "stay", "still", "idle", "wait", "done")


def load_task(address: str) -> Task:
    """The task at an address, whole (see `wmlib.task.find_task`)."""
    path, name = parts_of(address)
    return _whole(f"{path}:{name}", sha256_of(path))


@functools.lru_cache
def _whole(source: str, sha256: str) -> Task:
    """Made once for the same content."""
    task = load(source, sha256)
    path, name = parts_of(source)
    if not isinstance(task, Task):
        raise ConfigError(f"{source} is of type {type(task).__name__}; write {name} = Task(...)")
    if task.env is None:
        raise ConfigError(f"{source}: env is None; it must be a Gymnasium id, or what makes your game")
    spec = GameSpec("wmlib.envs.adapter:Adapted", {"source": source, "sha256": sha256})
    with Games(spec, lanes=1, workers=1) as games:
        found = games.describe()
    return derive(task, found, spec, source, digest_of_source(path, name, task))


def digest_of_source(path: Path, name: str, task: Task) -> str:
    """Of a file and a name in it, but for the functions that are profiles, of this task or of another in
    the file: their numbers count as those of a run do."""
    lines = path.read_bytes().splitlines()
    tree = ast.parse(b"\n".join(lines))
    profiles = {getattr(each, "__name__", "") for each in task.profiles.values()}
    said = [
        node.value for node in ast.walk(tree) if isinstance(node, ast.keyword) and node.arg == "profiles"
    ]
    profiles |= {node.id for value in said for node in ast.walk(value) if isinstance(node, ast.Name)}
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name in profiles:
            lines[node.lineno - 1 : node.end_lineno] = [b""] * (node.end_lineno - node.lineno + 1)
    kept = b"\n".join(line for line in lines if line.strip())
    return hashlib.sha256(kept + f"\n{name}".encode()).hexdigest()


def derive(task: Task, found: Mapping, spec: GameSpec, source: str, digest: str) -> Task:
    """A task with all that it does not say.

    Args:
        found: what the environment says (see `wmlib.envs.adapter.Adapted.describe`).

    Raises:
        ConfigError: the task says what its environment can't do.
    """
    kind = task.kind or found["kind"]
    actions = _actions(task, found)
    by_kind = {"choice": choose, "switches": switch, "free": _scaled(actions)}
    keys = dict(task.keys) or _keys(kind, list(actions))
    if task.hands is None:
        known = {key: does for key, does in keys.items() if _pressed(kind, list(actions), does)}
        check(
            task,
            "keys",
            known == keys,
            f"such that each does one of: {', '.join(_doings(kind, actions))}",
        )
    derived = {
        "actions": actions,
        "kind": kind,
        "horizon": task.horizon or found["limit"] or 1000,
        "to_action": task.to_action or by_kind[kind],
        "temper": task.temper or _temper(kind, actions),
        "explorers": task.explorers
        or {"brownian": BrownianPolicy, "held": HeldPolicy, "fresh": FreshPolicy},
        "blind": {**_constants(kind, actions), **task.blind},
        "keys": keys,
        "hands": task.hands or functools.partial(Hands, kind, actions, keys),
        "games": {"exact": spec, "stock": spec},
        "packages": task.packages or _packages(found["modules"]),
        "profiles": {
            "smoke": functools.partial(smoke, source),
            "laptop": functools.partial(laptop, source),
            **task.profiles,
        },
    }
    return dataclasses.replace(task, **derived, source=source, digest=digest)


def _actions(task: Task, found: Mapping) -> dict[str, tuple[float, float]]:
    bounds = found["bounds"]
    # An environment may name more actions than it takes: MiniGrid's are the first of its seven.
    theirs = (found["names"] or [])[: len(bounds)]
    names = list(task.actions or theirs or [f"action {i}" for i in range(len(bounds))])
    check(task, "actions", len(names) == len(bounds), f"{len(bounds)}: the environment takes so many")
    if isinstance(task.actions, Mapping):
        bounds = [tuple(map(float, each)) for each in task.actions.values()]
    if not np.isfinite(bounds).all():
        said = ", ".join(f'"{name}": (-1.0, 1.0)' for name in names)
        raise ConfigError(f"{task.name}: its actions have no bounds; say some: actions={{{said}}}")
    return dict(zip(names, bounds, strict=True))


# From C's raw outputs to actions


def choose(raw: Tensor) -> Tensor:
    """The largest number wins: (..., A) to 1 there, and 0 elsewhere."""
    return raw.new_zeros(raw.shape).scatter_(-1, raw.argmax(-1, keepdim=True), 1.0)


def switch(raw: Tensor) -> Tensor:
    """On (1) where a number is above 0, else off (0)."""
    return (raw > 0).to(raw.dtype)


def _scaled(actions: Mapping[str, tuple[float, float]]) -> Callable[[Tensor], Tensor]:
    """tanh, scaled to the bounds."""
    if all(bounds == (-1.0, 1.0) for bounds in actions.values()):
        return tanh
    low, high = np.array(list(actions.values())).T
    return lambda raw: raw.new_tensor(low) + (raw.tanh() + 1) * raw.new_tensor((high - low) / 2)


def _temper(kind: str, actions: Mapping[str, tuple[float, float]]) -> Callable:
    """Centre and spread of each number, in shares of its range. Each game is played in another way: some
    prefer one thing, others another, some hardly move, and others go from end to end."""
    low, high = np.array(list(actions.values())).T

    def temper(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray]:
        if kind != "free":
            return 0.5 + 0.7 * rng.normal(size=size), np.ones(size)
        half = (high - low) / 2
        return (low + high) / 2 + half * rng.uniform(-0.5, 0.5, size), half * 10 ** rng.uniform(
            -1.4, 0.3, size
        )

    return temper


def _constants(kind: str, actions: Mapping[str, tuple[float, float]]) -> dict[str, Callable]:
    """Blind players, each of which always does one of the things that there are."""
    hands = Hands(kind, actions, {does: does for does in _doings(kind, actions)})
    held = {f"always {does}": hands({does}) for does in _doings(kind, actions)}
    if kind != "choice":
        held["always nothing"] = hands(())
    return {name: functools.partial(ConstantPolicy, action=action) for name, action in held.items()}


# The player's keys


class Hands:
    """Held keys to an action: each key does what `keys` says, and without any nothing is done."""

    def __init__(self, kind: str, actions: Mapping[str, tuple[float, float]], keys: Mapping[str, str]):
        self.kind, self.names = kind, list(actions)
        self.low, self.high = np.array(list(actions.values())).T
        self.keys = {key: _pressed(kind, self.names, does) for key, does in keys.items()}

    def __call__(self, keys: Collection[str]) -> np.ndarray:
        held = [self.keys[key] for key in self.keys if key in keys]  # (number, whether to its most)
        if self.kind == "choice":
            action = np.zeros(len(self.names), np.float32)
            action[held[0][0] if held else self._idle()] = 1
            return action
        action = np.clip(0.0, self.low, self.high)
        for number, up in held:
            action[number] = self.high[number] if up else self.low[number]
        return action.astype(np.float32)

    def _idle(self) -> int:
        """The choice that is made where no key is held."""
        by_name = [i for i, name in enumerate(self.names) if name.lower() in _IDLE]
        if by_name:
            return by_name[0]
        taken = {number for number, _ in self.keys.values()}
        return next((i for i in range(len(self.names)) if i not in taken), 0)


def _keys(kind: str, names: list[str]) -> dict[str, str]:
    """What each key does, as far as the names tell; of nameless actions, in their order."""
    if kind == "free":
        doings = [(f"{name} -", f"{name} +") for name in names[:2]]
        pairs = (("left", "right"), ("down", "up"))
        return {key: does for pair, two in zip(pairs, doings, strict=False)
                for key, does in zip(pair, two, strict=True)}  # fmt: skip
    found = {}
    for key in KEYS:
        for word in _SYNONYMS.get(key, (key,)):
            match = next((n for n in names if word in _words(n) and n not in found.values()), None)
            if match is not None:
                found[key] = match
                break
    if found:
        return found
    if kind == "switches" or len(names) == 2:
        order = ("left", "right") if len(names) == 2 else KEYS
        return dict(zip(order, names, strict=False))
    if len(names) == 3:
        return {"left": names[0], "right": names[2]}
    return dict(zip(KEYS, names[1:], strict=False))


def _words(name: str) -> list[str]:
    return re.findall(r"[a-z-]+", name.lower())


def _pressed(kind: str, names: list[str], does: str) -> tuple[int, bool] | None:
    """The number that a key moves, and whether to its most; None where it does nothing that there is."""
    if kind == "free":
        name, _, sign = does.rpartition(" ")
        return (names.index(name), sign == "+") if name in names and sign in ("-", "+") else None
    return (names.index(does), True) if does in names else None


def _doings(kind: str, actions: Mapping[str, tuple[float, float]]) -> list[str]:
    """All that a key can do."""
    return [f"{name}{sign}" for name in actions for sign in ((" -", " +") if kind == "free" else ("",))]


def _packages(modules: Collection[str]) -> tuple[str, ...]:
    """The installed packages that the environment's classes come from."""
    return tuple(sorted({name for module in modules for name in _distributions().get(module, ())}))


@functools.cache
def _distributions() -> Mapping[str, list[str]]:
    """By module; it takes a while to look through all that is installed."""
    return importlib.metadata.packages_distributions()


# Profiles


def smoke(source: str | Task) -> RunConfig:
    """Every stage, as small as it can be and still run all the code."""
    short = Validation(every=2, episodes=2, horizon=40)
    dream = DreamConfig(generations=2, population=8, episodes=2, horizon=40, diagonal=True,
                        end="sampled", validation=short)  # fmt: skip
    mdnrnn = MDNRNNConfig(steps=8, batch_size=8, sequence_length=30)
    return RunConfig(
        task=source,
        stages=("collect", "vae", "mdnrnn", "dream", "iterate", "evaluate"),
        collect=CollectConfig(episodes=4, horizon=60),
        vae=VAEConfig(steps=8, batch_size=16),
        mdnrnn=mdnrnn,
        dream=dream,
        iterate=IterateConfig(
            episodes=3,
            horizon=60,
            vae=VAEConfig(steps=4, batch_size=16),
            mdnrnn=mdnrnn,
            dream=dataclasses.replace(dream, start="previous"),
        ),
        evaluate=EvaluateConfig(episodes=2, horizon=60),
        machine=Machine(lanes=4),
    )


def laptop(source: str | Task) -> RunConfig:
    """For a small game: from nothing in minutes on two cores, in dreams alone.

    Where explorers do not get far, V and M can learn on from the agent's own games: add the stage
    iterate.
    """
    horizon = find_task(source).horizon
    # What is small is learned late: with half as many batches a ball of 12 pixels is still a blur.
    vae = VAEConfig(steps=1200, batch_size=32, free_bits=1.0)
    # Points are worth what they are worth in this game.
    mdnrnn = MDNRNNConfig(steps=1000, batch_size=50, sequence_length=60, reward_weight=None)
    # M itself tells what C should look at: CMA-ES then finds its way in few generations.
    dream = DreamConfig(
        generations=50,
        population=32,
        horizon=horizon,
        sigma=0.3,
        weight_decay=0.0,
        average=3,
        end="sampled",
        coordinates=Coordinates("advantage"),
        validation=Validation(every=4, episodes=32, horizon=horizon),
    )
    return RunConfig(
        task=source,
        stages=("collect", "vae", "mdnrnn", "dream", "evaluate"),
        collect=CollectConfig(episodes=150, horizon=horizon),
        vae=vae,
        mdnrnn=mdnrnn,
        dream=dream,
        iterate=IterateConfig(
            episodes=100,
            horizon=horizon,
            vae=dataclasses.replace(vae, steps=200, learning_rate=3e-4),
            mdnrnn=dataclasses.replace(mdnrnn, steps=500, learning_rate=5e-4),
            dream=dream,
        ),
        rounds=RoundsConfig(
            horizon=max(20, horizon),
            patience=0,
            mdnrnn=dataclasses.replace(mdnrnn, steps=150, learning_rate=5e-4),
        ),
        real=RealConfig(horizon=horizon, validation=Validation(horizon=horizon)),
        evaluate=EvaluateConfig(horizon=horizon),
    )
