"""PPO learns in Doom's dream alone, as C did, and is judged as C was.

    pip install stable-baselines3 -c constraints.txt
    python examples/ppo_in_the_dream.py

It has the core-minutes that CMA-ES had for C. Now and then it is tested: in the dream, which says what
it promises, and in 64 validation games, which say what is paid. The test that paid most tells which PPO
is kept, and games that were used for nothing else score that one. Stop it whenever you like: the same
command goes on from its last lesson. All that it finds is in score_ppo.json, in its folder.
"""

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import gymnasium
import numpy as np
import torch
import tyro
from gymnasium.wrappers.vector import TransformReward
from stable_baselines3 import PPO
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from stable_baselines3.common.vec_env import VecMonitor
from torch import Tensor

from wmlib.agent import Agent, load_agent
from wmlib.config import REPORTING_SEEDS, VALIDATION_SEEDS, End, Machine
from wmlib.envs.errors import GameError
from wmlib.gym import DREAM
from wmlib.measure.evaluation import digest_of_agent, score_of
from wmlib.runtime.cores import core_count
from wmlib.runtime.disk import ArtifactError, ensure_writable
from wmlib.runtime.fields import ConfigError, check_counts, check_range, check_seed, check_taus
from wmlib.runtime.files import REFERENCE, save_json
from wmlib.runtime.job import Job
from wmlib.runtime.log import RunLog
from wmlib.runtime.seeds import digest_of
from wmlib.runtime.signals import stops_on_signals
from wmlib.sb3 import SB3VecEnv
from wmlib.worlds import World, play_games
from wmlib.worlds.dream import SIDE_BY_SIDE

GAMMA = 0.99
"""What comes in 100 tics, three seconds, still counts; a fireball takes less."""
REMEDY = "delete it: PPO then learns from its beginning"


@dataclass(frozen=True)
class Options:
    """PPO learns in an agent's dream, and is tested and scored in the real game."""

    agent: Path = REFERENCE / "takecover"
    """Folder of the agent whose V and M are dreamt with."""
    out: Path = Path("runs/ppo-doom")
    """Folder for all that it makes: made if missing, gone on with if there."""
    core_minutes: float = 27.5
    """Wall clock times cores, for lessons and tests. CMA-ES had so many for C's 32 generations: eight
    took 206 s on two cores (data/reference/takecover/manifest.json), tests included."""
    temperature: float = 1.5
    """Of the dream, as C had it; from 0.05 to 10."""
    end: End = "sampled"
    """How a dream ends, as C had it."""
    horizon: int = 2100
    """Steps after which a dream or a game is cut."""
    lanes: int = 128
    """Dreams side by side."""
    steps: int = 128
    """Steps of each between two updates of PPO."""
    updates: int = 16
    """Updates in a lesson; after each, work is kept, and dreams begin anew."""
    every: int = 5
    """Lessons from one test to the next."""
    games: int = 64
    """Games, and dreams, of a test."""
    episodes: int = 500
    """Games that score the one that is kept."""
    seed: int = 1
    """Seed of all that is drawn."""

    def __post_init__(self):
        check_counts(self, horizon=1, lanes=2, steps=2, updates=1, every=1, games=2, episodes=2)
        check_range(self, 0.0, 1e6, "core_minutes")
        check_taus(self, "temperature")
        check_seed(self, "seed")


class Standardised(BaseFeaturesExtractor):
    """Features (N, F) by their mean and spread in dreams: z, c and h are of different size."""

    def __init__(self, observation_space: gymnasium.spaces.Box):
        super().__init__(observation_space, observation_space.shape[0])
        self.register_buffer("mean", torch.zeros(self.features_dim))
        self.register_buffer("spread", torch.ones(self.features_dim))

    def forward(self, seen: Tensor) -> Tensor:
        return ((seen - self.mean) / self.spread).clamp(-5, 5)


class Deterministic:
    """A policy as a player in our worlds: it does what it holds for best."""

    def __init__(self, policy: ActorCriticPolicy):
        self.policy = policy

    def begin(self, lanes: np.ndarray, games: np.ndarray, seen: Tensor) -> None:
        """It remembers nothing: M does."""

    def act(self, active: np.ndarray, seen: Tensor) -> Tensor:
        return torch.from_numpy(self.policy.predict(seen.numpy(), deterministic=True)[0])


def make_ppo(agent: Agent, options: Options, job: Job) -> PPO:
    """PPO before its first lesson, over many dreams at once."""
    dreams = gymnasium.make_vec(
        DREAM, options.lanes, agent=agent, temperature=options.temperature, end=options.end,
        horizon=options.horizon, precision="auto", autoreset_mode="SameStep",
    )  # fmt: skip
    dreams.action_space.seed(options.seed)
    seen = [dreams.reset(seed=job.seed_of("spread") % VALIDATION_SEEDS)[0]]
    seen += [dreams.step(dreams.action_space.sample())[0] for _ in range(100)]
    envs = VecMonitor(SB3VecEnv(TransformReward(dreams, lambda rewards: rewards * (1 - GAMMA))))
    ppo = PPO(
        "MlpPolicy", envs, n_steps=options.steps, batch_size=options.lanes * options.steps // 8,
        n_epochs=4, gamma=GAMMA, seed=job.seed_of("weights") % 2**31, device="cpu",
        policy_kwargs={"features_extractor_class": Standardised, "net_arch": [64]},
    )  # fmt: skip
    extractor = ppo.policy.features_extractor
    extractor.mean.copy_(torch.from_numpy(np.concatenate(seen).mean(0)))
    extractor.spread.copy_(torch.from_numpy(np.concatenate(seen).std(0)).clamp(min=1e-3))
    return ppo


def state_of(ppo: PPO) -> dict[str, Tensor]:
    """All that PPO has learned, and what Adam remembers, as tensors."""
    tensors = {f"policy/{name}": value.clone() for name, value in ppo.policy.state_dict().items()}
    for number, state in ppo.policy.optimizer.state_dict()["state"].items():
        tensors |= {f"adam/{number}/{name}": value.clone() for name, value in state.items()}
    return tensors


def bring_back(ppo: PPO, tensors: dict[str, Tensor]) -> None:
    """Put `state_of` back into PPO."""
    ppo.policy.load_state_dict(below("policy/", tensors))
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in below("adam/", tensors).items():
        number, name = key.split("/")
        states.setdefault(int(number), {})[name] = value
    adam = ppo.policy.optimizer
    adam.load_state_dict(adam.state_dict() | {"state": states})


def below(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of this prefix, without it."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def returns_in(world: World, policy: ActorCriticPolicy, first_seed: int, games: int) -> np.ndarray:
    """What it earns in games of consecutive seeds, (games,)."""
    return play_games(world, Deterministic(policy), first_seed + np.arange(games))


def test(ppo: PPO, dream: World, game: World, games: int) -> dict[str, float]:
    """What it promises in the dream and what the game pays, on validation seeds."""
    found = {}
    for name, world in (("promise", dream), ("pay", game)):
        returns = returns_in(world, ppo.policy, VALIDATION_SEEDS, games)
        found |= {name: float(returns.mean()), f"{name}_sd": float(returns.std(ddof=1))}
    return found


def learn(ppo: PPO, dream: World, game: World, options: Options, job: Job) -> tuple[dict, list[dict]]:
    """Lesson by lesson, until the time is over.

    Returns:
        what the policy held that was paid most; and the tests, a row each.
    """
    kept, _ = tensors, about = job.load(REMEDY) or ({}, {"lessons": 0, "seconds": 0.0, "curve": []})
    lessons, seconds, curve = about["lessons"], about["seconds"], about["curve"]
    if kept:
        bring_back(ppo, tensors)
    best = below("best/", tensors)
    with job.log.bar(round(60 * options.core_minutes), "ppo", "core-seconds", round(seconds)) as bar:
        while True:
            began, over = time.monotonic(), seconds >= 60 * options.core_minutes
            row = {"steps": lessons * options.updates * options.steps * options.lanes}
            if (over or lessons % options.every == 0) and (
                not curve or curve[-1]["steps"] < row["steps"]
            ):
                row |= {"core_minutes": round(seconds / 60, 2)} | test(ppo, dream, game, options.games)
                if not curve or row["pay"] > max(former["pay"] for former in curve):
                    best = below("policy/", state_of(ppo))
                curve = [*curve, row]
                job.log.event(job.name, row["steps"], **row)
                job.log.say(
                    f"{row['steps']:,} steps: promised {row['promise']:.0f}, paid {row['pay']:.0f}"
                )
            if not over:
                # A lesson's chance is its own: broken off and taken up again it is the same.
                ppo.set_random_seed(job.seed_of(lessons) % (VALIDATION_SEEDS - options.lanes))
                ppo.learn(options.updates * options.steps * options.lanes)
                lessons += 1
            spent = (time.monotonic() - began) * core_count()
            seconds += spent
            state = state_of(ppo) | {f"best/{name}": value for name, value in best.items()}
            job.save(state, lessons=lessons, seconds=seconds, curve=curve)
            if over:
                return best, curve
            bar.set_postfix(dream=f"{np.mean([e['r'] for e in ppo.ep_info_buffer]) / (1 - GAMMA):.0f}")
            bar.update(round(spent))


def run(options: Options) -> None:
    result = options.out / "score_ppo.json"
    ensure_writable(result, "--out")
    agent = load_agent(options.agent)
    asked = asdict(options)
    for name in ("agent", "out", "core_minutes", "episodes"):  # more of them changes nothing before
        del asked[name]
    log = RunLog(options.out)
    digest = digest_of(digest_of_agent(agent), sorted(asked.items()))
    job = Job("ppo", options.seed, log, options.out / "ppo.safetensors", digest)
    ppo = make_ppo(agent, options, job)
    dream = agent.dream(SIDE_BY_SIDE, options.horizon, options.temperature, options.end)
    with agent.real(options.games, Machine(), options.horizon) as game, stops_on_signals():
        best, curve = learn(ppo, dream, game, options, job)
        ppo.policy.load_state_dict(best)
        first, games = REPORTING_SEEDS, options.episodes
        paid = score_of(
            returns_in(game, ppo.policy, first, games), agent.task.name, "real", first, "ppo"
        )
        promised = score_of(
            returns_in(dream, ppo.policy, first, games), agent.task.name, "dream", first, "ppo"
        )
    save_json(
        result,
        paid.as_dict()
        | {"promised": promised.as_dict(), "curve": curve, "options": asked, "weights": digest},
    )
    log.say(f"promised: {promised}\npaid: {paid}\nall of it: {result}")


def main(argv: list[str] | None = None) -> int:
    try:
        run(tyro.cli(Options, prog="python examples/ppo_in_the_dream.py", args=argv))
    except (ArtifactError, ConfigError, GameError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("\nstopped. The same command goes on from here.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
