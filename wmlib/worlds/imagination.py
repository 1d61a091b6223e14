"""One step of M for many lanes at once, laid out for speed.

What M is, `wmlib.mdnrnn` says; here is the same mathematics in another form, tested equal to it.
"""

import torch
from torch import Tensor

from wmlib.mdnrnn import MDNRNN
from wmlib.runtime.product import Product


class Stepper:
    """One step of M for many lanes: what `MDNRNN.lstm` computes, as a single product.

    It copies the weights when it is made.
    """

    def __init__(self, mdnrnn: MDNRNN):
        lstm = mdnrnn.lstm
        weight = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0], 1).detach()
        self.weight = weight.T.contiguous()  # (inputs + H, 4 H)
        self.bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0).detach()

    def __call__(self, inputs: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        """inputs (N, ...) as `MDNRNN.inputs` gives them, h and c (N, H), to the next h and c."""
        gates = torch.addmm(self.bias, torch.cat([inputs, h], 1), self.weight)  # (N, 4 H)
        i, f, g, o = gates.chunk(4, 1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Imagination:
    """One step of M and a draw from its mixture, for many lanes at once: what a dream is made of.

    It computes what `MDNRNN` and `sample_mixture` do, laid out for speed: biases are one more row of the
    weights, a component's numbers for all of z lie side by side, buffers serve again, and tanh x is
    2 sigmoid(2x) - 1. It copies the weights when it is made, and computes where they are.

    Args:
        dtype: in which the two matrix products are computed; all else is float32.
    """

    def __init__(self, mdnrnn: MDNRNN, lanes: int, dtype: torch.dtype = torch.float32):
        self.task = mdnrnn.task
        Z, K, H = self.task.z_size, self.task.mixtures, self.task.hidden_size
        lstm, head = mdnrnn.lstm, mdnrnn.head
        bias = (lstm.bias_ih_l0 + lstm.bias_hh_l0)[:, None]
        weight = torch.cat([lstm.weight_ih_l0, lstm.weight_hh_l0, bias], 1).detach().clone()
        weight[2 * H : 3 * H] *= 2  # the gate with a tanh
        self.gates = Product(weight.T.to(dtype), lanes)  # from (inputs + H + 1) to 4 H
        outputs = torch.arange(len(head.weight))
        outputs[: 3 * Z * K] = outputs[: 3 * Z * K].view(3, Z, K).transpose(1, 2).flatten()
        heads = torch.cat([head.weight, head.bias[:, None]], 1).detach()[outputs].T
        self.heads = Product(heads.to(dtype), lanes)  # from H + 1
        where = {"dtype": dtype, "device": head.weight.device}
        self.inputs = torch.ones(self.gates.rows, weight.shape[1], **where)  # the last is the bias's 1

    def __call__(
        self,
        seen: Tensor,
        h: Tensor,
        c: Tensor,
        uniform: Tensor,
        normal: Tensor,
        tau: Tensor | float = 1.0,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """From step t to t + 1.

        Args:
            seen: (N, ...) as `MDNRNN.inputs` gives them; N is at most `lanes`. h, c: (N, H).
            uniform, normal: (N, Z), the noise of this step.
            tau: temperature, as in `sample_mixture`; one for each, (N,), or one for all.

        Returns:
            z (N, Z), h and c (N, H), and the outputs of the heads (N, 0 to 2): reward, logit of the end.
        """
        Z, K, H, N = self.task.z_size, self.task.mixtures, self.task.hidden_size, len(seen)
        self.inputs[:N, : -H - 1] = seen
        self.inputs[:N, -H - 1 : -1] = h
        i, f, g, o = self.gates(self.inputs, N).float().sigmoid_().chunk(4, 1)
        c = (f * c).addcmul_(i, g.mul_(2).sub_(1))
        h = (2 * c).sigmoid_().mul_(2).sub_(1).mul_(o)
        self.inputs[:N, -H - 1 : -1] = h
        out = self.heads(self.inputs[:, -H - 1 :], N).float()
        logits, mu, logsigma = out[:, : 3 * Z * K].view(-1, 3, K, Z).unbind(1)  # (N, K, Z) each
        tau = torch.as_tensor(tau, dtype=torch.float64, device=out.device)
        weights = ((logits - logits.amax(1, keepdim=True)) / tau.float().view(-1, 1, 1)).exp_()
        cumulative = weights.cumsum(1)
        mark = uniform * cumulative[:, -1]
        # The last component whose predecessors' weights stay below the mark.
        drawn = (mark[:, None] > cumulative[:, :-1]).sum(1, keepdim=True)  # (N, 1, Z)
        z, sigma = mu.gather(1, drawn)[:, 0], logsigma.gather(1, drawn)[:, 0]
        z = z + sigma.clamp(-7, 7).exp() * tau.sqrt().float().view(-1, 1) * normal
        return z, h, c, out[:, 3 * Z * K :]
