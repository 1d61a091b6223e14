"""What the page in `web/` reads of an agent: its dream, as few bytes as possible, and a recorded game.

`web/world.js` says how these files are used. All that the page knows of a game, it knows from them.
"""

import copy
import itertools
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from wmlib.agent import Agent
from wmlib.config import EvaluateConfig, Machine, WebConfig
from wmlib.data.episodes import Episode
from wmlib.measure.diagnostics import examine_vae
from wmlib.measure.evaluation import digest_of_agent, evaluate
from wmlib.measure.temperature import TABLE, controller_file, read_table
from wmlib.own import choose, switch
from wmlib.runtime.disk import ArtifactError, whole_file
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import load_json, load_tensors, save_json, save_tensors
from wmlib.runtime.log import RunLog
from wmlib.task import Hands, Task
from wmlib.worlds.painting import folded_decoder
from wmlib.worlds.play import play
from wmlib.worlds.record import EpisodeRecorder, SequenceRecorder

FORMAT = 1
"""Of the files. The page refuses another one."""
LIST = "games.json"
"""Names of the games that lie beside it, a folder each."""
COLUMNS = 32
"""Frames side by side in the picture of a recorded game."""
_STARTS = 64  # beginnings of dreams that are taken along, at most
_GRID = 201  # points of C's way from tanh to the game's ranges
_OTHERS = {"controller_dream": "the agent, after dreams alone"}


def export_web(
    agent: Agent, folder: Path, out: Path, config: WebConfig, table: Path | None, log: RunLog
) -> dict[str, int]:
    """Write what the page needs of an agent to a folder of its own in `out`, and the list of games.

    The weights are rounded to half precision; C is not.

    Args:
        folder: the agent's, where other controllers of it and the scores lie.
        table: folder of a temperature table of the agent, whose controllers are taken along; by default
            `folder`, if one is there.

    Returns:
        the files, and how many bytes each has.

    Raises:
        ArtifactError: a file is missing or damaged, a controller is of other weights, or `out` can't be
            written.
        ConfigError: C's actions are none that the page can compute.
    """
    task = agent.task
    name = config.name or task.name
    agent = replace(agent, vae=_rounded(agent.vae), mdnrnn=_rounded(agent.mdnrnn))
    about = {
        "format": FORMAT,
        "name": name,
        "title": config.title or name,
        "task": task.name,
        "z": task.z_size,
        "h": task.hidden_size,
        "mixtures": task.mixtures,
        "horizon": task.horizon,
        "features": ["z", "c", "h"] if task.sees_cell else ["z", "h"],
        "reward": task.predicts_reward,
        "done": task.predicts_done,
        "fresh": task.restart_input,
        "actions": [{"name": n, "least": a, "most": b} for n, (a, b) in task.actions.items()],
        "keys": [{"name": name, "does": does} for name, does in task.keys.items()],
        "turn": turn(task),
        "hands": grip(task),
        "weights": digest_of_agent(agent),
    }
    ends = torch.tensor(list(task.actions.values()))  # (A, 2); the page asks for a table in any case
    to_action = action_table(task) if about["turn"] == "table" else ends
    drivers, params = _drivers(agent, folder, table, config, log)
    episode, mu, logvar = _record(agent, config)
    kl = examine_vae(agent.vae, episode.frames).kl

    world = folded_decoder(agent.vae) | agent.mdnrnn.state_dict() | _starts(agent)
    world = {key: value.half() for key, value in world.items()} | params | {"to_action": to_action}
    world["activity"] = torch.from_numpy(kl).float()
    eyes = {k: v.half() for k, v in agent.vae.state_dict().items() if k.startswith(("encoder", "to_"))}
    record = {
        "mu": mu.half(),
        "logvar": logvar.half(),
        "actions": torch.from_numpy(episode.actions),
        "rewards": torch.from_numpy(episode.rewards),
    }
    played = {"seed": episode.seed, "terminated": episode.terminated, "columns": COLUMNS}
    place = out / name
    save_tensors(place / "world.safetensors", world, about | {"drivers": drivers})
    save_tensors(place / "eyes.safetensors", eyes, {"format": FORMAT})
    save_tensors(place / "record.safetensors", record, {"format": FORMAT, **played})
    with whole_file(place / "record.webp") as temporary:
        sheet(episode.frames).save(temporary, "WEBP", lossless=True, method=4, exact=True)
    save_json(out / LIST, _games(out))
    return {path.name: path.stat().st_size for path in sorted(place.iterdir())}


def _games(out: Path) -> dict[str, object]:
    """The games that lie in a folder, and what the page calls them."""
    worlds = {
        path.parent.name: load_tensors(path)[1] for path in sorted(out.glob("*/world.safetensors"))
    }
    titles = {name: about.get("title", name) for name, about in worlds.items()}
    return {"format": FORMAT, "games": list(titles), "titles": titles}


def turn(task: Task) -> str:
    """How C's raw outputs become actions.

    Returns:
        "choice": the largest becomes 1, all others 0. "switches": 1 where it is above 0. Else "table".
    """
    raw = torch.randn(1000, task.action_size, generator=torch.Generator().manual_seed(0))
    actions = task.to_action(raw)
    for name, way in (("choice", choose), ("switches", switch)):
        if torch.equal(way(raw), actions):
            return name
    return "table"


def action_table(task: Task) -> Tensor:
    """How C's raw outputs become actions: each number of an action, over tanh of its raw output.

    Returns:
        (A, 201), for tanh from -1 to 1 in equal steps; between them the page draws straight lines.

    Raises:
        ConfigError: that is not how this task's `to_action` works.
    """
    grid = torch.linspace(-1, 1, _GRID, dtype=torch.float64)
    most = torch.atanh(grid.clamp(-1 + 1e-12, 1 - 1e-12))
    table = task.to_action(most[:, None].repeat(1, task.action_size)).T.float()  # (A, 201)
    raw = torch.randn(1000, task.action_size, generator=torch.Generator().manual_seed(0)) * 2
    place = (raw.tanh() + 1) / 2 * (_GRID - 1)  # (1000, A)
    low = place.floor().clamp(0, _GRID - 2).long()
    left, right = (torch.gather(table.T, 0, at) for at in (low, low + 1))
    between = left + (place - low) * (right - left)
    if not torch.allclose(between, task.to_action(raw), atol=1e-3):
        raise ConfigError(
            f"the page can't do what to_action of {task.name} does: it takes each number of an action "
            "from tanh of one raw output, or chooses the largest, or switches on what is above 0"
        )
    return table


def grip(task: Task) -> dict[str, list] | None:
    """The task's hands as numbers: towards which action held keys lead, and how fast.

    Returns:
        goals: an action for each set of held keys (the first of `Task.keys` counts 1, the second 2, the
        third 4 ...). rates: the most by which each number of an action changes in a frame. None where
        there are no hands, or where they do more than that: then the page has no keys.
    """
    if not task.keys or not task.hands:
        return None
    sets = [
        [key for key, held in zip(task.keys, reversed(bits), strict=True) if held]
        for bits in itertools.product((False, True), repeat=len(task.keys))
    ]
    goals = np.stack([_held(task.hands(), keys, 100)[-1] for keys in sets])
    rates = np.zeros(task.action_size)
    for before, after in itertools.permutations(sets, 2):
        hands = task.hands()
        start = _held(hands, before, 100)[-1]
        path = np.concatenate([start[None], _held(hands, after, 2)])
        rates = np.maximum(rates, np.abs(np.diff(path, axis=0)).max(0))
    rng, hands, at = np.random.default_rng(0), task.hands(), goals[0].astype(float)
    for number in rng.integers(len(sets), size=40).repeat(5):
        at = at + np.clip(goals[number] - at, -rates, rates)
        if not np.allclose(hands(sets[number]), at, atol=1e-4):
            return None
    return {"goals": goals.round(6).tolist(), "rates": rates.round(6).tolist()}


def _held(hands: Hands, keys: Collection[str], frames: int) -> np.ndarray:
    """The actions (frames, A) while these keys are held."""
    return np.stack([np.array(hands(keys), np.float64) for _ in range(frames)])


def sheet(frames: np.ndarray) -> Image.Image:
    """Frames (n, 64, 64, 3) uint8 as one picture, `COLUMNS` of them in a row."""
    n, height, width, _ = frames.shape
    rows = -(-n // COLUMNS)
    full = np.zeros((rows * COLUMNS, height, width, 3), np.uint8)
    full[:n] = frames
    full = full.reshape(rows, COLUMNS, height, width, 3).swapaxes(1, 2)
    return Image.fromarray(full.reshape(rows * height, COLUMNS * width, 3))


def _rounded(module: torch.nn.Module) -> torch.nn.Module:
    """A copy in the numbers that the page will have."""
    return copy.deepcopy(module).half().float()


def _starts(agent: Agent) -> dict[str, Tensor]:
    """Beginnings of dreams, spread over all there are."""
    starts = torch.cat([agent.starts.mu, agent.starts.logvar], 1).unique(dim=0)
    chosen = starts[:: -(-len(starts) // _STARTS)]
    mu, logvar = chosen.split(agent.task.z_size, 1)
    return {"starts.mu": mu, "starts.logvar": logvar}


@torch.inference_mode()
def _record(agent: Agent, config: WebConfig) -> tuple[Episode, Tensor, Tensor]:
    """A game that the agent plays: what V saw, and mu and logvar (T + 1, Z) of each frame."""
    seeds, kept = np.array([config.seed]), []
    steps = min(config.steps, agent.task.horizon)
    with agent.real(1, Machine(workers=1), steps, chunk=1) as game:
        seen = SequenceRecorder(game)
        observers = [EpisodeRecorder(game, seeds, kept.append), seen]
        play(game, agent.controller, agent.params[None], seeds, observers=observers)
    return kept[0], seen.games[0].mu, seen.games[0].logvar


def _drivers(
    agent: Agent, folder: Path, table: Path | None, config: WebConfig, log: RunLog
) -> tuple[list[dict], dict[str, Tensor]]:
    """All controllers of the agent: what is known of each, and their numbers."""
    of_dreams = EvaluateConfig(config.dreams, config.seed, agent.task.horizon)

    def promise(who: Agent) -> dict:
        with who.dream(min(config.dreams, 32), of_dreams.horizon) as dream:
            score = evaluate(dream, who.controller, who.params, of_dreams, log, "dream")
        return _short(asdict(score)) | {"tau": 1.0}

    drivers = [_driver(agent, "controller", "the agent", promise, folder / "score.json")]
    params = {"C.controller": agent.params}
    for file, title in _OTHERS.items():
        path = folder / f"{file}.safetensors"
        if not path.is_file() or not _fits(
            load_tensors(path)[1], agent
        ):  # a run has it with an earlier M
            continue
        other = replace(agent, params=_params(path, agent))
        scored = folder / f"{file.replace('controller', 'score')}.json"
        drivers.append(_driver(other, file, title, promise, scored))
        params[f"C.{file}"] = other.params
    table = table or (folder if (folder / TABLE).is_file() else None)
    for row in read_table(table)[0] if table else ():
        file = Path(controller_file(row.tau)).stem
        params[f"C.{file}"] = _params(table / controller_file(row.tau), agent)
        known = {
            "promise": _short(asdict(row.dream)) | {"tau": row.tau},
            "paid": _short(asdict(row.real)),
        }
        title = f"learned at τ = {row.tau:g}"
        drivers.append({"file": file, "title": title, "tau": row.tau} | known | _shape(agent))
    return drivers, params


def _driver(
    who: Agent, file: str, title: str, promise: Callable[[Agent], dict], scored: Path
) -> dict[str, object]:
    paid = None
    if scored.is_file():
        score = load_json(scored)
        try:
            paid = _short(score)
        except (KeyError, TypeError) as error:
            raise ArtifactError(f"{scored} is not a score ({error}); delete it") from error
    about = {"file": file, "title": title, "tau": None}
    return about | {"promise": promise(who), "paid": paid} | _shape(who)


def _shape(agent: Agent) -> dict[str, object]:
    """What `Controller` needs to be made again."""
    return {"layers": agent.controller.layers, "bias": agent.controller.config.bias}


def _short(score: dict) -> dict[str, float]:
    return {key: score[key] for key in ("mean", "sd", "n")}


def _fits(about: dict, agent: Agent) -> bool:
    """Whether a controller that says this of itself belongs to the agent's V and M."""
    ours, theirs = (each.get("made_from", {}) for each in (agent.about, about))
    return all(ours.get(kind) == theirs.get(kind) for kind in ("vae", "mdnrnn"))


def _params(path: Path, agent: Agent) -> Tensor:
    """The numbers of another controller, if it belongs to this agent's V and M."""
    remedy = "make it again, with the weights that the agent has now"
    tensors, about = load_tensors(path, remedy)
    if not _fits(about, agent):
        raise ArtifactError(f"{path} is of another V and M than the agent; {remedy}")
    params = tensors.get("params")
    if params is None or params.shape != agent.params.shape:
        raise ArtifactError(f"{path} is not a controller of this agent; {remedy}")
    return params.float()
