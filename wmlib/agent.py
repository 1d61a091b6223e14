"""An agent: V, M and C together, as a run leaves them or as they are shipped."""

from dataclasses import dataclass
from pathlib import Path

import torch

from wmlib.artifacts import ArtifactError, load_module, load_tensors
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
    remedy = f"finish the run with: python -m wmlib run --run-dir {folder}"
    tensors, about = load_tensors(folder / controller_file, remedy)
    try:
        task = find_task(about["task"])
        controller = Controller(task, ControllerConfig(**about["controller"]))
        params = tensors["params"].float()
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(f"{folder / controller_file} is not a controller ({error})") from error
    if params.shape != (controller.size,):
        raise ArtifactError(
            f"{folder / controller_file}: {tuple(params.shape)} numbers, expected {controller.size}"
        )
    vae, mdnrnn = VAE(task.z_size), MDNRNN(task)
    load_module(vae, folder / "vae.safetensors", remedy)
    load_module(mdnrnn, folder / "mdnrnn.safetensors", remedy)
    vae = vae.to(memory_format=torch.channels_last).eval()
    return Agent(task, vae, mdnrnn.eval(), controller, params, load_starts(folder))


def load_starts(folder: Path) -> DreamStarts:
    path = Path(folder) / "dream_starts.safetensors"
    tensors, _ = load_tensors(path, "it is made together with vae.safetensors")
    try:
        return DreamStarts(tensors["mu"].float(), tensors["logvar"].float())
    except KeyError as error:
        raise ArtifactError(f"{path} lacks {error}") from error
