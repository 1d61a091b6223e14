"""A file of ours, for what is done to files."""

import pytest
import torch

from wmlib.runtime.files import save_tensors


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_tensors(path, {"weight": torch.arange(6.0).view(2, 3), "bias": torch.ones(2)}, {"note": [1]})
    return path
