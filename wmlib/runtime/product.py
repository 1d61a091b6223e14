"""A matrix product that is asked for again and again with the same weight.

torch computes float32 products by MKL, which lays the weight out anew each time, and on some processors
stays far below what they can do. oneDNN, which comes with torch too, takes one that is laid out once.
"""

import torch
from torch import Tensor

STEP = 16
"""oneDNN prepares anew for each number of rows that it meets: only multiples of this are asked for."""


class Product:
    """x @ weight, for x of up to so many rows. It copies the weight when it is made.

    Args:
        weight: (I, O); the product is computed in its number format, and where it is.
    """

    def __init__(self, weight: Tensor, rows: int):
        self.rows = -(-rows // STEP) * STEP
        self.laid_out = None
        if _can_be_laid_out(weight):
            copy = weight.T.clone(memory_format=torch.contiguous_format)
            self.laid_out = torch.ops.mkldnn._reorder_linear_weight(copy, self.rows)
        else:
            self.weight = weight.clone(memory_format=torch.contiguous_format)
            self.out = weight.new_empty(rows, weight.shape[1])

    def __call__(self, x: Tensor, rows: int) -> Tensor:
        """The first `rows` rows of x, times the weight: (rows, O), valid until the next call. x is
        (self.rows, I), since rows up to the next multiple of `STEP` are computed too."""
        if self.laid_out is None:
            return torch.mm(x[:rows], self.weight, out=self.out[:rows])
        x = x[: -(-rows // STEP) * STEP]
        return torch.ops.mkldnn._linear_pointwise(x, self.laid_out, None, "none", [], "")[:rows]


def _can_be_laid_out(weight: Tensor) -> bool:
    """Whether oneDNN is there, and torch hands over to it what torch.compile hands over."""
    return (
        weight.device.type == "cpu"
        and weight.dtype == torch.float32
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    )
