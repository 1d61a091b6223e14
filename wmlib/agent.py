"""An agent: V, M, C and where its dreams begin, as one thing that opens its worlds."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from wmlib.cluster import Dreaming, Far, Rules, crew_at
from wmlib.config import ControllerConfig, DreamSearch, End, Machine, MDNRNNConfig, Precision
from wmlib.controller import Controller
from wmlib.envs.games import GameKind
from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.device import dream_dtype
from wmlib.runtime.disk import ArtifactError
from wmlib.runtime.fields import ConfigError
from wmlib.runtime.files import REFERENCE, expect, load_json, load_module, load_tensors, sha256
from wmlib.runtime.place import AGENTS, GAME, bring_back
from wmlib.runtime.source import NAME, is_address, parts_of
from wmlib.task import Task, find_task, task_names
from wmlib.vae import VAE
from wmlib.worlds.dream import DreamWorld
from wmlib.worlds.dropout import open_dream
from wmlib.worlds.moments import DreamStarts
from wmlib.worlds.noisy import NoisyController
from wmlib.worlds.perception import CHUNK
from wmlib.worlds.play import play
from wmlib.worlds.real import RealWorld
from wmlib.worlds.record import Filmer, Step
from wmlib.worlds.world import World


@dataclass(frozen=True)
class Agent:
    """All that is needed to play.

    controller: the shape of C. params: its numbers, (D,). about: what the controller's file says of
    itself.
    """

    task: Task
    vae: VAE
    mdnrnn: MDNRNN
    controller: Controller
    params: torch.Tensor
    starts: DreamStarts
    about: dict = field(default_factory=dict)

    def real(
        self,
        games: int,
        machine: Machine | None = None,
        horizon: int | None = None,
        kind: GameKind = "exact",
        chunk: int = CHUNK,
        options: Mapping[str, object] | None = None,
    ) -> RealWorld | Far:
        """The real game, as this agent sees it, for so many games to be played.

        Args:
            machine: how many are held open at once, over how many processes; or the scheduler whose
                workers play them.
            horizon: frames after which a game is cut; by default the task's own number.
            chunk: size of the batches of V and M (see `Perception`).
            options: of the game, beside those that its task fixes.
        """
        machine, game = machine or Machine(), self.task.game(kind)
        if machine.scheduler:
            rules = Rules(horizon or self.task.horizon, game=kind, options=options or {})
            models = {"vae": self.vae, "mdnrnn": self.mdnrnn}
            return Far(crew_at(machine.scheduler), self.task, rules, models)
        # What steps many games at once is fastest if all were opened together.
        lanes = games if game.batched else machine.lanes_for(games)
        workers = machine.worker_count
        return RealWorld(self.vae, self.mdnrnn, lanes, workers, horizon, kind, chunk, options)

    def dream(
        self,
        lanes: int,
        horizon: int | None = None,
        tau: float | Sequence[float] = 1.0,
        end: End = "cutoff",
        precision: Precision = "float32",
        dropout: float = 0.0,
    ) -> DreamWorld:
        """M's dream, wide enough for so many at once (see `DreamWorld`, and `DropoutDream`).

        Args:
            tau: the temperature: a number, or one for each lane.
        """
        how = tau, end, self.vae, dream_dtype(precision)
        return open_dream(self.mdnrnn, self.starts, lanes, horizon, *how, dropout=dropout)

    def dream_for(
        self, search: DreamSearch, tau: float, machine: Machine | None = None
    ) -> DreamWorld | Far:
        """M's dream, wide enough for a whole generation of the search; or, where the machine says how
        many dreams make a batch, cut into batches, which the scheduler's workers share."""
        if machine and machine.dream_batch:
            dtype = str(dream_dtype(search.precision)).removeprefix("torch.")
            rules = Rules(search.horizon, dream=Dreaming(tau, search.end, dtype, search.dropout))
            models = {"mdnrnn": self.mdnrnn, "starts": self.starts}
            crew = crew_at(machine.scheduler) if machine.scheduler else None
            return Far(crew, self.task, rules, models, machine.dream_batch)
        lanes = search.population * search.episodes
        return self.dream(lanes, search.horizon, tau, search.end, search.precision, search.dropout)

    def watch(self, world: World, seed: int) -> list[Step]:
        """Play one game in a world of one lane, and keep what there is to look at."""
        film = Filmer(world)
        play(world, self.controller, self.params[None], [seed], observers=[film])
        return film.steps

    def explorer(self, lanes: int, noise: float) -> NoisyController:
        """The agent as an explorer of the game, with so much noise on its actions."""
        return NoisyController(self.vae, self.mdnrnn, self.controller, self.params[None], lanes, noise)


@dataclass(frozen=True)
class Explorer:
    """An agent that explores the game, with so much noise on its actions; made for so many lanes."""

    agent: Agent
    noise: float

    def __call__(self, lanes: int) -> NoisyController:
        return self.agent.explorer(lanes, self.noise)

    def elsewhere(self, horizon: int, machine: Machine) -> Far:
        """Its games, which the scheduler's workers play."""
        agent, shape = self.agent, self.agent.controller.config
        rules = Rules(horizon, game=machine.backend, controller=shape, noise=self.noise)
        models = {"vae": agent.vae, "mdnrnn": agent.mdnrnn}
        return Far(crew_at(machine.scheduler), agent.task, rules, models)


def load_agent(
    folder: Path, controller_file: str = "controller.safetensors", task: Task | str | Path | None = None
) -> Agent:
    """Read an agent from a run folder, or from `data/reference/<task>`.

    Args:
        task: what it plays, if you want to say so. An agent of a game of your own finds that where it
            was when it learned; but code that came with a folder is run only if you name it here.

    Raises:
        ArtifactError: naming the file that is missing or damaged.
        ConfigError: it plays another game than `task`.
    """
    folder = Path(folder)
    task = None if task is None else find_task(task)
    remedy = finishing(folder)
    of_file = f"delete it and {remedy}"  # else the stage that made it is done, and is not run again
    if (folder / "manifest.json").exists():
        out = shlex.quote(str(folder))
        remedy = of_file = f"export the run again: python -m wmlib export --run-dir RUN --out {out}"
    if folder.is_relative_to(REFERENCE):
        if folder.name not in AGENTS and not folder.is_dir():
            name = task.source if task and task.source else folder.name
            raise ArtifactError(
                f"no agent of {folder.name} comes with this package; train one: python -m wmlib run "
                f"--task {name}, and name its folder with --run-dir"
            )
        remedy = of_file = f"bring back what was shipped: {bring_back(folder)}"
    _verify(folder, of_file)
    path = folder / controller_file
    tensors, about = load_tensors(path, of_file)
    if task is None and isinstance(about.get("game"), dict):
        task = _own_task(folder, about)
    try:
        name = str(about["task"])
        if task is None:
            if name not in task_names():  # nor may a file name another one, to be run
                raise ValueError(f"there is no task {name!r}")
            task = find_task(name)
        controller = Controller(task, ControllerConfig(**about["controller"]))
        # Weights that were shipped before M's own file told it have it here.
        weight = about.get("end_weight", MDNRNNConfig.done_positive_weight)
        kept = {kind: Path(name).name for kind, name in about.get("weights", {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not a controller ({error}); {of_file}") from error
    if task.name != name:
        raise ConfigError(f"--task is {task.name}, but the agent in {folder} plays {name}")
    expect(path, tensors, {"params": (controller.size,)}, of_file)
    params = tensors["params"].float()

    def file_of(kind: str) -> Path:
        """A run keeps every V and M that it made; C belongs to those that it learned with."""
        path = folder / "stages" / kept.get(kind, "")
        return path if path.is_file() else folder / f"{kind}.safetensors"

    vae, about_vae = load_vae(file_of("vae"), task, of_file)
    mdnrnn, about_mdnrnn = load_mdnrnn(file_of("mdnrnn"), task, of_file, weight)
    starts, about_starts = load_starts(file_of("dream_starts"), task, of_file)
    found = {"vae": about_vae, "mdnrnn": about_mdnrnn, "dream_starts": about_starts}
    if "made_from" not in about and (folder / "manifest.json").exists():
        # Shipped before C named its V and M by content: there the manifest vouches for them.
        if len({each.get("vae") for each in (about, *found.values())}) > 1:
            raise ArtifactError(f"V, M and C in {folder} are of different runs; {remedy}")
    else:
        origin = {kind: (file_of(kind), each["sha256"]) for kind, each in found.items()}
        check_origin(path, about, origin, of_file)
    return Agent(task, vae, mdnrnn, controller, params, starts, about)


def _own_task(folder: Path, about: Mapping) -> Task:
    """The game of one's own that the agent in a run folder learned to play, where it was then.

    Raises:
        ArtifactError: the folder names none, or that was edited since.
    """
    game, config = about["game"], folder / "config.json"
    name = game.get("name")
    copy = folder / GAME if name == NAME else f"{folder / GAME}:{name}"
    remedy = f"name its file with --task; {copy} is as it learned it: look at it before you trust it"
    said = load_json(config, remedy) if config.is_file() else {}
    source = said.get("task") if isinstance(said, dict) else None
    outside = isinstance(source, str) and Path(source).is_absolute() and is_address(source)
    if not outside or parts_of(source)[0].is_relative_to(folder.resolve()):
        plays = about.get("task")
        raise ArtifactError(f"the agent in {folder} plays {plays}, a game of its own; {remedy}")
    if not parts_of(source)[0].is_file():
        raise ArtifactError(f"{source}, which the agent in {folder} plays, is not there; {remedy}")
    task = find_task(source)
    if task.digest != game.get("digest"):
        raise ArtifactError(f"{source} was edited since the agent in {folder} learned it; {remedy}")
    return task


def finishing(run: Path) -> str:
    """The remedy for a run that is not finished."""
    where = shlex.quote(str(run))
    return f"finish the run: python -m wmlib run --run-dir {where}, with the options it began with"


def load_vae(path: Path, task: Task, remedy: str) -> tuple[VAE, dict]:
    """V, and the file's description."""
    vae = VAE(task.z_size)
    about = load_module(vae, path, remedy)
    return vae.to(memory_format=torch.channels_last).eval(), about


def load_mdnrnn(path: Path, task: Task, remedy: str, weight: float = 1.0) -> tuple[MDNRNN, dict]:
    """M, and the file's description.

    Args:
        weight: its `done_positive_weight`, where the file does not tell.
    """
    mdnrnn = MDNRNN(task)
    about = load_module(mdnrnn, path, remedy)
    try:
        mdnrnn.done_positive_weight = float(about.get("done_positive_weight", weight))
    except (TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is damaged or not ours ({error}); {remedy}") from error
    return mdnrnn.eval(), about


def load_starts(path: Path, task: Task, remedy: str) -> tuple[DreamStarts, dict]:
    """Where dreams begin, and the file's description."""
    tensors, about = load_tensors(path, remedy)
    expect(path, tensors, dict.fromkeys(("mu", "logvar"), (None, task.z_size)), remedy)
    mu, logvar = tensors["mu"].float(), tensors["logvar"].float()
    if len(mu) != len(logvar) or not len(mu):
        raise ArtifactError(f"{path}: {len(mu)} means and {len(logvar)} variances; {remedy}")
    return DreamStarts(mu, logvar), about


def check_origin(
    path: Path, about: Mapping, origin: Mapping[str, tuple[Path, str]], remedy: str
) -> None:
    """Check that a file was made from these very files.

    Args:
        about: what the file at `path` says of itself. origin: by kind, a file and its sha256.

    Raises:
        ArtifactError: it was made from another, or does not say.
    """
    said = about.get("made_from")
    for kind, (file, content) in origin.items():
        if not isinstance(said, dict) or said.get(kind) != content:
            raise ArtifactError(f"{path} was not made from {file}, but from another; {remedy}")


def _verify(folder: Path, remedy: str) -> None:
    """Compare what is shipped with the digests in its manifest. A run's own folder has none."""
    path = folder / "manifest.json"
    if not path.exists():
        return
    manifest = load_json(path, remedy)
    digests = manifest.get("sha256") if isinstance(manifest, dict) else None
    if not isinstance(digests, dict):
        raise ArtifactError(f"{path} is damaged or not ours; {remedy}")
    for name, digest in digests.items():
        if Path(name).name != name:
            raise ArtifactError(f"{path}: {name!r} is not the name of a file in this folder; {remedy}")
        if not (folder / name).is_file():
            raise ArtifactError(f"{folder / name} is missing; {remedy}")
        if sha256(folder / name) != digest:
            raise ArtifactError(f"{folder / name} is not what was shipped; {remedy}")
