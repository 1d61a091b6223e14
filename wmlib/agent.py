"""An agent: V, M and C together, as a run leaves them or as they are shipped."""

from dataclasses import dataclass
from pathlib import Path

import torch

from wmlib.artifacts import REFERENCE, ArtifactError, load_module, load_tensors
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
    path = folder / controller_file
    tensors, about = load_tensors(path, remedy)
    try:
        task = find_task(about["task"])
        controller = Controller(task, ControllerConfig(**about["controller"]))
        params = tensors["params"].float()
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{path} is not a controller ({error}); {remedy}") from error
    if params.shape != (controller.size,):
        raise ArtifactError(
            f"{path}: {tuple(params.shape)} numbers, expected {controller.size}; {remedy}"
        )
    vae, mdnrnn = VAE(task.z_size), MDNRNN(task)
    about_vae = load_module(vae, folder / "vae.safetensors", remedy)
    # A run keeps every M that it made; C belongs to the one that it learned with.
    kept = folder / "stages" / f"{about.get('mdnrnn')}.safetensors"
    about_mdnrnn = load_module(mdnrnn, kept if kept.exists() else folder / "mdnrnn.safetensors", remedy)
    if not about.get("vae") == about_vae.get("vae") == about_mdnrnn.get("vae"):
        raise ArtifactError(f"V, M and C in {folder} are of different runs; {remedy}")
    vae = vae.to(memory_format=torch.channels_last).eval()
    return Agent(task, vae, mdnrnn.eval(), controller, params, _load_starts(folder, remedy))


def _load_starts(folder: Path, remedy: str) -> DreamStarts:
    path = folder / "dream_starts.safetensors"
    tensors, _ = load_tensors(path, remedy)
    try:
        return DreamStarts(tensors["mu"].float(), tensors["logvar"].float())
    except KeyError as error:
        raise ArtifactError(f"{path} lacks {error}; {remedy}") from error
