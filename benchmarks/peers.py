"""What ours is measured against: the usual way to write each piece, in plain PyTorch.

Same networks, same weights, same losses. What differs is the manner of the popular implementations:
one rollout after the other in a process of its own, batches of one, float32, channels first, modules
called as torch gives them.
"""

import multiprocessing
import os

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

from wmlib.runtime.cores import core_count

GAUSSIANS = 5


class PlainVAE(nn.Module):
    """V as it is usually written (paper, appendix A.1)."""

    def __init__(self, z_size=32):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 4, stride=2)
        self.conv2 = nn.Conv2d(32, 64, 4, stride=2)
        self.conv3 = nn.Conv2d(64, 128, 4, stride=2)
        self.conv4 = nn.Conv2d(128, 256, 4, stride=2)
        self.fc_mu = nn.Linear(1024, z_size)
        self.fc_logvar = nn.Linear(1024, z_size)
        self.fc_decode = nn.Linear(z_size, 1024)
        self.deconv1 = nn.ConvTranspose2d(1024, 128, 5, stride=2)
        self.deconv2 = nn.ConvTranspose2d(128, 64, 5, stride=2)
        self.deconv3 = nn.ConvTranspose2d(64, 32, 6, stride=2)
        self.deconv4 = nn.ConvTranspose2d(32, 3, 6, stride=2)

    def encode(self, x):
        for conv in (self.conv1, self.conv2, self.conv3, self.conv4):
            x = F.relu(conv(x))
        x = x.reshape(x.size(0), -1)
        return self.fc_mu(x), self.fc_logvar(x)

    def forward(self, x, noise):
        mu, logvar = self.encode(x)
        y = self.fc_decode(mu + torch.exp(0.5 * logvar) * noise)[:, :, None, None]
        for deconv in (self.deconv1, self.deconv2, self.deconv3):
            y = F.relu(deconv(y))
        return torch.sigmoid(self.deconv4(y)), mu, logvar


class PlainMDNRNN(nn.Module):
    """M as it is usually written, with done and perhaps reward (paper, appendix A.2)."""

    def __init__(self, z_size=32, actions=3, hidden=256, rewards=True):
        super().__init__()
        self.z_size, self.rewards = z_size, rewards
        self.rnn = nn.LSTM(z_size + actions, hidden, batch_first=True)
        self.linear = nn.Linear(hidden, 3 * z_size * GAUSSIANS + 1 + rewards)

    def forward(self, z, action, state=None):
        h, state = self.rnn(torch.cat([z, action], dim=-1), state)
        out = self.linear(h)
        n = self.z_size * GAUSSIANS
        shape = (*out.shape[:-1], self.z_size, GAUSSIANS)
        logpi = F.log_softmax(out[..., :n].reshape(shape), dim=-1)
        mu = out[..., n : 2 * n].reshape(shape)
        sigma = torch.exp(out[..., 2 * n : 3 * n].reshape(shape).clamp(-7, 7))
        reward = out[..., -2] if self.rewards else torch.ones(out.shape[:-1])  # Doom pays for living
        return logpi, mu, sigma, reward, out[..., -1], state


def copy_weights(target, source):
    """Both modules hold the same tensors in the same order."""
    for ours, theirs in zip(target.parameters(), source.parameters(), strict=True):
        ours.data.copy_(theirs.data)
    return target


def vae_loss(x, reconstruction, mu, logvar, free_bits):
    error = F.mse_loss(reconstruction, x, reduction="none").sum(dim=(1, 2, 3))
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=1)
    return (error + torch.clamp(kl, min=free_bits * mu.size(1))).mean()


def mdnrnn_loss(prediction, z_next, reward, done, mask, config):
    logpi, mu, sigma, reward_out, done_out, _ = prediction
    normal = torch.distributions.Normal(mu, sigma)
    nll = -torch.logsumexp(logpi + normal.log_prob(z_next.unsqueeze(-1)), dim=-1).mean(dim=-1)
    error = reward_out - reward
    error = torch.where(error > 0, config.optimism_weight, 1.0) * error**2
    weight = torch.tensor(config.done_positive_weight)
    end = F.binary_cross_entropy_with_logits(done_out, done, pos_weight=weight, reduction="none")
    total = nll + config.reward_weight * error + config.done_weight * end
    return (total * mask).sum() / mask.sum()


class Rollout:
    """One process of the pool: it holds the models, and plays one rollout after the other."""

    def __init__(self, task, tensors, starts, horizon):
        torch.set_num_threads(1)
        self.vae = PlainVAE(task.z_size)
        self.mdnrnn = PlainMDNRNN(
            task.z_size, task.action_size + task.restart_input, task.hidden_size, task.predicts_reward
        )
        for module, values in zip((self.vae, self.mdnrnn), tensors, strict=True):
            for parameter, value in zip(module.parameters(), values, strict=True):
                parameter.data.copy_(torch.from_numpy(value))
        self.task, self.starts, self.horizon = task, starts, horizon
        self.env = None

    def action(self, params, z, h, c):
        if self.task.name == "takecover":
            return torch.tanh(torch.cat([z, c, h], dim=1) @ params[:, None])[0].numpy()
        weight, bias = params[:864].view(288, 3), params[864:]
        steer, gas, brake = torch.tanh(torch.cat([z, h], dim=1) @ weight + bias)[0].tolist()
        return np.array([steer, (gas + 1) / 2, min(max(brake, 0.0), 1.0)], dtype=np.float32)

    @torch.no_grad()
    def real(self, params, seed):
        """Play in the stock game; returns (return, steps)."""
        if self.env is None:
            import gymnasium

            self.env = gymnasium.make("CarRacing-v3", max_episode_steps=self.horizon)
        params = torch.from_numpy(params)
        picture, _ = self.env.reset(seed=int(seed))
        h, c = torch.zeros(1, 1, 256), torch.zeros(1, 1, 256)
        total, steps, over = 0.0, 0, False
        while not over:
            frame = Image.fromarray(picture[:84]).resize((64, 64), Image.Resampling.BILINEAR)
            x = torch.from_numpy(np.array(frame)).permute(2, 0, 1).unsqueeze(0).float() / 255
            z, _ = self.vae.encode(x)
            action = self.action(params, z, h[0], c[0])
            picture, reward, terminated, truncated, _ = self.env.step(action.astype(np.float64))
            *_, (h, c) = self.mdnrnn(z.unsqueeze(1), torch.from_numpy(action).view(1, 1, 3), (h, c))
            total, steps, over = total + reward, steps + 1, terminated or truncated
        return total, steps

    @torch.no_grad()
    def dream(self, params, seed):
        """Play in the dream; returns (return, steps)."""
        generator = torch.Generator().manual_seed(int(seed))
        params = torch.from_numpy(params)
        mus, logvars = self.starts
        row = int(torch.randint(len(mus), (1,), generator=generator))
        noise = torch.randn(1, mus.shape[1], generator=generator)
        z = torch.from_numpy(mus[row]) + torch.exp(torch.from_numpy(logvars[row]) / 2) * noise
        h, c = torch.zeros(2, 1, 1, self.task.hidden_size)
        total, steps, over = 0.0, 0, False
        while not over:
            action = torch.from_numpy(self.action(params, z, h[0], c[0])).view(1, 1, -1)
            if self.task.restart_input:
                action = torch.cat([action, torch.full((1, 1, 1), float(steps == 0))], dim=-1)
            logpi, mu, sigma, reward, done, (h, c) = self.mdnrnn(z.unsqueeze(1), action, (h, c))
            chosen = torch.distributions.Categorical(logits=logpi[0, 0]).sample().unsqueeze(-1)
            mean, spread = mu[0, 0].gather(1, chosen), sigma[0, 0].gather(1, chosen)
            z = torch.normal(mean, spread).view(1, -1)
            total, steps = total + reward.item(), steps + 1
            over = done.item() > 0 or steps >= self.horizon
        return total, steps


_rollout: Rollout | None = None  # each process of the pool has one


def _begin(*arguments):
    global _rollout
    _rollout = Rollout(*arguments)


def _play(job):
    kind, params, seed = job
    return getattr(_rollout, kind)(params, seed)


class RolloutPool:
    """One process a core; each plays whole rollouts, one after the other."""

    def __init__(self, agent, horizon):
        tensors = [
            [p.detach().numpy().copy() for p in m.parameters()] for m in (agent.vae, agent.mdnrnn)
        ]
        starts = agent.starts.mu.numpy(), agent.starts.logvar.numpy()
        os.environ.setdefault("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        self.pool = multiprocessing.get_context("spawn").Pool(
            core_count(), _begin, (agent.task, tensors, starts, horizon)
        )

    def play(self, kind, params, seeds):
        """All params (P, D) on all seeds (R,). Returns (returns (P, R), steps played)."""
        jobs = [(kind, row.numpy(), int(seed)) for row in params for seed in seeds]
        results = self.pool.map(_play, jobs, chunksize=1)
        returns = np.array([value for value, _ in results]).reshape(len(params), len(seeds))
        return returns, sum(steps for _, steps in results)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.pool.terminate()
        self.pool.join()
