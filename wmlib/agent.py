"""An agent: V, M and C together, as a run leaves them or as they are shipped."""

from dataclasses import dataclass, field
from pathlib import Path

import torch

from wmlib.artifacts import (
    REFERENCE,
    ArtifactError,
    expect,
    load_json,
    load_module,
    load_tensors,
    sha256,
)
from wmlib.config import ControllerConfig, MDNRNNConfig, Task, find_task
from wmlib.controller import Controller
from wmlib.mdnrnn import MDNRNN
from wmlib.moments import DreamStarts
from wmlib.vae import VAE


@dataclass(frozen=True)
class Agent:
    """V, M, C and where dreams begin: all that is needed to play.

    end_weight: how much more the ends weighed than other steps in M's training (see `DreamWorld`).
    about: what the controller's file says of itself.
    """

    task: Task
    vae: VAE
    mdnrnn: MDNRNN
    controller: Controller
    params: torch.Tensor
    starts: DreamStarts
    end_weight: float = MDNRNNConfig.done_positive_weight
    about: dict = field(default_factory=dict)


def load_agent(folder: Path, controller_file: str = "controller.safetensors") -> Agent:
    """Read an agent from a run folder, or from `data/reference/<task>`.

    Raises:
        ArtifactError: naming the file that is missing or damaged.
    """
    folder = Path(folder)
    remedy = f"finish the run: python -m wmlib run --run-dir {folder}, with the options it began with"
    if folder.is_relative_to(REFERENCE):
        if not folder.is_dir():
            raise ArtifactError(
                f"no agent of {folder.name} comes with this package; train one: python -m wmlib run "
                f"--task {folder.name}, and name its folder with --run-dir"
            )
        remedy = f"bring back what was shipped: git checkout -- {folder}"
    _verify(folder, remedy)
    path = folder / controller_file
    tensors, about = load_tensors(path, remedy)
    try:
        task = find_task(about["task"])
        controller = Controller(task, ControllerConfig(**about["controller"]))
        end_weight = float(about.get("end_weight", MDNRNNConfig.done_positive_weight))
        kept = {kind: Path(name).name for kind, name in about.get("weights", {}).items()}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not a controller ({error}); {remedy}") from error
    expect(path, tensors, {"params": (controller.size,)}, remedy)
    params = tensors["params"].float()
    vae, mdnrnn = VAE(task.z_size), MDNRNN(task)

    def file_of(kind: str) -> Path:
        """A run keeps every V and M that it made; C belongs to those that it learned with."""
        path = folder / "stages" / kept.get(kind, "")
        return path if path.is_file() else folder / f"{kind}.safetensors"

    about_vae = load_module(vae, file_of("vae"), remedy)
    about_mdnrnn = load_module(mdnrnn, file_of("mdnrnn"), remedy)
    starts, about_starts = _load_starts(file_of("dream_starts"), task, remedy)
    if len({each.get("vae") for each in (about, about_vae, about_mdnrnn, about_starts)}) > 1:
        raise ArtifactError(f"V, M and C in {folder} are of different runs; {remedy}")
    vae = vae.to(memory_format=torch.channels_last).eval()
    return Agent(task, vae, mdnrnn.eval(), controller, params, starts, end_weight, about)


def _load_starts(path: Path, task: Task, remedy: str) -> tuple[DreamStarts, dict]:
    """The moments, and the file's description."""
    tensors, about = load_tensors(path, remedy)
    expect(path, tensors, dict.fromkeys(("mu", "logvar"), (None, task.z_size)), remedy)
    mu, logvar = tensors["mu"].float(), tensors["logvar"].float()
    if len(mu) != len(logvar) or not len(mu):
        raise ArtifactError(f"{path}: {len(mu)} means and {len(logvar)} variances; {remedy}")
    return DreamStarts(mu, logvar), about


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
