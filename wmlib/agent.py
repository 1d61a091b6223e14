"""An agent: V, M and C together, as a run leaves them or as they are shipped."""

from dataclasses import dataclass
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
from wmlib.config import ControllerConfig, Task, find_task
from wmlib.controller import Controller
from wmlib.mdnrnn import MDNRNN
from wmlib.vae import VAE
from wmlib.worlds import DreamStarts


@dataclass(frozen=True)
class Agent:
    """V, M, C and where dreams begin: all that is needed to play."""

    task: Task
    vae: VAE
    mdnrnn: MDNRNN
    controller: Controller
    params: torch.Tensor
    starts: DreamStarts


def load_agent(folder: Path, controller_file: str = "controller.safetensors") -> Agent:
    """Read an agent from a run folder, or from `data/reference/<task>`.

    Raises:
        ArtifactError: naming the file that is missing or damaged.
    """
    folder = Path(folder)
    remedy = f"finish the run: python -m wmlib run --run-dir {folder}, with the options it began with"
    if folder.is_relative_to(REFERENCE):
        remedy = f"bring back what was shipped: git checkout -- {folder}"
    _verify(folder, remedy)
    path = folder / controller_file
    tensors, about = load_tensors(path, remedy)
    try:
        task = find_task(about["task"])
        controller = Controller(task, ControllerConfig(**about["controller"]))
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not a controller ({error}); {remedy}") from error
    expect(path, tensors, {"params": (controller.size,)}, remedy)
    params = tensors["params"].float()
    vae, mdnrnn = VAE(task.z_size), MDNRNN(task)
    about_vae = load_module(vae, folder / "vae.safetensors", remedy)
    # A run keeps every M that it made; C belongs to the one that it learned with.
    kept = folder / "stages" / f"{about.get('mdnrnn')}.safetensors"
    about_mdnrnn = load_module(mdnrnn, kept if kept.exists() else folder / "mdnrnn.safetensors", remedy)
    if not about.get("vae") == about_vae.get("vae") == about_mdnrnn.get("vae"):
        raise ArtifactError(f"V, M and C in {folder} are of different runs; {remedy}")
    vae = vae.to(memory_format=torch.channels_last).eval()
    return Agent(task, vae, mdnrnn.eval(), controller, params, _load_starts(folder, task, remedy))


def _load_starts(folder: Path, task: Task, remedy: str) -> DreamStarts:
    path = folder / "dream_starts.safetensors"
    tensors, _ = load_tensors(path, remedy)
    expect(path, tensors, dict.fromkeys(("mu", "logvar"), (None, task.z_size)), remedy)
    mu, logvar = tensors["mu"].float(), tensors["logvar"].float()
    if len(mu) != len(logvar) or not len(mu):
        raise ArtifactError(f"{path}: {len(mu)} means and {len(logvar)} variances; {remedy}")
    return DreamStarts(mu, logvar)


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
