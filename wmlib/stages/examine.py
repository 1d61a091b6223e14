"""What to look at where a run does not learn: three questions to what it has made so far.

Is there any reward in the explorers' games? Is what moves in V's picture? Does M foretell what pays, and
the end? Each stands on the one before.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wmlib import figures
from wmlib.agent import check_origin, load_mdnrnn, load_vae
from wmlib.data.episodes import EpisodeStore
from wmlib.mdnrnn import MDNRNN
from wmlib.measure.diagnostics import examine_mdnrnn, examine_vae
from wmlib.runtime.log import as_points
from wmlib.task import Task
from wmlib.training import encode_store
from wmlib.vae import VAE, to_frames, to_images
from wmlib.worlds.moments import memories

GAMES = 24
"""Games of which V and M are asked."""
FRAMES = 512
"""Frames of them that V is asked to paint."""
SHOWN = 8
"""Frames in the picture."""
MOVED = 24
"""Change of a colour, from 0 to 255, from which on something has moved there."""


@dataclass(frozen=True)
class Findings:
    """text: an answer a line. picture: recorded frames, as V paints them and as M expected them; None
    as long as there is no V."""

    text: str
    picture: figures.Figure | None


def examine(folder: Path, task: Task) -> Findings:
    """Ask what a run folder holds so far: explorers' games, V, M.

    Raises:
        ArtifactError: there are no games, or a file is damaged, or M was made from another V.
    """
    folder = Path(folder)
    store = EpisodeStore(folder / "episodes")
    lines = _of_games(store)
    store.keep_only(store.seeds[:GAMES])
    remedy = "delete it and run the same command as before: it is made again"
    paths = {name: folder / f"{name}.safetensors" for name in ("vae", "mdnrnn")}
    if not paths["vae"].is_file():
        return Findings("\n".join([*lines, "V: has not learned yet"]), None)
    vae, about_vae = load_vae(paths["vae"], task, remedy)
    lines += _of_v(vae, store)
    strip, mdnrnn = _Strip(vae, store), None
    if paths["mdnrnn"].is_file():
        mdnrnn, about = load_mdnrnn(paths["mdnrnn"], task, remedy)
        check_origin(paths["mdnrnn"], about, {"vae": (paths["vae"], about_vae["sha256"])}, remedy)
        lines += _of_m(mdnrnn, vae, store)
    else:
        lines.append("M: has not learned yet")
    return Findings("\n".join(lines), strip.figure(mdnrnn))


def moving_part(frames: np.ndarray, painted: np.ndarray) -> float:
    """How much V gets right where something moves: 1 is all of it, 0 as much as the average picture.

    Args:
        frames: consecutive ones, (n, 64, 64, 3) uint8. painted: V's pictures of them.

    Returns:
        NaN where nothing moves.
    """
    seen, painted = frames.astype(float), painted.astype(float)
    moved = np.zeros(frames.shape[:3], bool)
    moved[1:] = (np.abs(np.diff(seen, axis=0)) > MOVED).any(-1)
    wrong = ((seen - painted)[moved] ** 2).sum()
    average = ((seen - seen.mean(0))[moved] ** 2).sum()
    return float(1 - wrong / average) if average else float("nan")


def _of_games(store: EpisodeStore) -> list[str]:
    returns = np.array([store.rows[seed]["return"] for seed in store.seeds])
    rewards = np.concatenate([store.actions_and_rewards(seed)[1] for seed in store.seeds])
    ended = sum(store.rows[seed]["terminated"] for seed in store.seeds)
    mean, low, high = map(as_points, (returns.mean(), returns.min(), returns.max()))
    usual = np.median(rewards)
    paid = np.mean(np.abs(rewards - usual) > 1e-6)
    return [
        f"games: {len(store)} of explorers, {store.steps:,} frames; {ended} ended by themselves",
        f"reward: {mean} points a game, from {low} to {high}; {paid:.2%} of the frames pay anything but "
        f"the usual {usual:g}",
    ]


@torch.inference_mode()
def _painted(vae: VAE, frames: np.ndarray) -> np.ndarray:
    parts = to_images(torch.from_numpy(frames)).split(64)
    return np.concatenate([to_frames(vae.decode(vae.encode(part)[0])).numpy() for part in parts])


def _of_v(vae: VAE, store: EpisodeStore) -> list[str]:
    frames = np.concatenate([np.array(store.frames(seed)) for seed in store.seeds])[:FRAMES]
    report = examine_vae(vae, frames)
    return [
        f"V: squared error {report.squared_error:.0f} a picture; the average picture has "
        f"{report.mean_picture_error:.0f}",
        f"V: where something moves, it gets {moving_part(frames, _painted(vae, frames)):.0%} right; "
        f"{len(report.active)} of {vae.z_size} elements of z say anything",
    ]


def _of_m(mdnrnn: MDNRNN, vae: VAE, store: EpisodeStore) -> list[str]:
    report = examine_mdnrnn(mdnrnn, encode_store(vae, store))
    lines = [
        f"M: NLL {report.nll:.2f} nats an element; one Gaussian for all has {report.nll_constant:.2f}"
    ]
    if mdnrnn.task.predicts_reward:
        lines.append(f"M: of the reward it foretells R² {report.reward_r2:.2f}")
    if mdnrnn.task.predicts_done:
        sees = (
            f"it sees {report.recall:.0%} of {report.ends} ends come" if report.ends else "no game ended"
        )
        lines.append(f"M: {sees}; false alarms at {report.false_alarms:.1%} of the other frames")
    return lines


class _Strip:
    """The frames about what paid most in some games, as they were, as V paints them, as M expected."""

    def __init__(self, vae: VAE, store: EpisodeStore):
        self.vae, self.store = vae, store
        pays = {seed: np.abs(store.actions_and_rewards(seed)[1]) for seed in store.seeds}
        self.seed = max(pays, key=lambda seed: pays[seed].max())
        first = max(0, int(pays[self.seed].argmax()) + 2 - SHOWN)
        self.times = list(range(first, min(first + SHOWN, len(pays[self.seed]) + 1)))

    def figure(self, mdnrnn: MDNRNN | None) -> figures.Figure:
        frames = np.array(self.store.frames(self.seed))[: self.times[-1] + 1]
        rows = {"the game": frames, "V's picture": _painted(self.vae, frames)}
        if mdnrnn is not None:
            rows["M expected"] = self._expected(mdnrnn)
        title = f"Game {self.seed}, where it paid most"
        return figures.film_strip(rows, self.times, title)

    @torch.inference_mode()
    def _expected(self, mdnrnn: MDNRNN) -> np.ndarray:
        """A step ahead, the mean of M's mixture, painted; of the first frame nothing was expected."""
        self.store.keep_only([self.seed])
        data = encode_store(self.vae, self.store)
        z, h = memories(mdnrnn, data, 0)
        said = mdnrnn.predict(h[1:])
        means = torch.cat([z[:1], (said.logpi.exp() * said.mu).sum(-1)])[: self.times[-1] + 1]
        return to_frames(self.vae.decode(means)).numpy()
