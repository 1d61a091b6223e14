"""Configuration: what is learned (a `Task`) and how much effort goes into it (a `RunConfig`).

The profiles, which fix every number of a run, are in `profiles`.

Every field's comment is also its help on the command line. Dataclasses are frozen, and a bad value
fails when the object is made, with the field's name and its bound in the message.
"""

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from typing import Literal, get_args, get_type_hints

ITERATE_SEEDS = 500_000
"""Training seeds of the games that the agent plays in the stage iterate; explorers' seeds lie below."""
VALIDATION_SEEDS = 1_000_000
"""Seeds below are for training; from here on for choosing between checkpoints."""
REPORTING_SEEDS = 2_000_000
"""Seeds from here on are for the scores we report, and for nothing else."""


class ConfigError(ValueError):
    """A configuration that can't work. The message names the field and what it may be."""


def _check(config: object, field_name: str, ok: bool, rule: str) -> None:
    if not ok:
        value = getattr(config, field_name)
        raise ConfigError(f"{type(config).__name__}.{field_name} is {value!r}; it must be {rule}")


def _check_counts(config: object, **lowest: int) -> None:
    for name, bound in lowest.items():
        value = getattr(config, name)
        whole = isinstance(value, int) and not isinstance(value, bool)
        _check(config, name, whole and value >= bound, f"a whole number, {bound} or more")


def _check_range(config: object, low: float, high: float, *names: str) -> None:
    for name in names:
        _check(config, name, low <= getattr(config, name) <= high, f"from {low:g} to {high:g}")


def _check_choices(config: object) -> None:
    """Fields of a Literal type hold one of its values, whoever made the object."""
    for name, hint in get_type_hints(type(config)).items():
        choices = get_args(hint)
        if choices and all(isinstance(choice, str) for choice in choices):
            _check(config, name, getattr(config, name) in choices, f"one of: {', '.join(choices)}")


def _check_long_enough(config: object) -> None:
    """Games from which the search's coordinates are fitted (see `wmlib.searchspace`)."""
    _check_counts(config, horizon=20)
    rule = "0, or 20 or more: shorter games show too little"
    _check(config, "patience", config.patience == 0 or config.patience >= 20, rule)


@dataclass(frozen=True)
class Task:
    """A game, and the sizes of V, M and C that the paper uses for it (sections 3 and 4)."""

    name: str
    action_size: int
    """Numbers the game takes at each step."""
    z_size: int
    """Length of z, V's summary of a frame."""
    hidden_size: int
    """Length of h, M's memory."""
    mixtures: int = 5
    """Gaussians in M's mixture, for each element of z."""
    horizon: int = 1000
    """Frames after which an episode is cut."""
    sees_cell: bool = False
    """Whether C is given the LSTM's cell c too: [z, c, h] in place of [z, h]."""
    predicts_reward: bool = True
    """Whether M has a head for the reward of the step."""
    predicts_done: bool = True
    """Whether M has a head for the end of the episode."""
    restart_input: bool = False
    """Whether M is told that an episode has just begun."""
    explorers: tuple[str, ...] = ("brownian", "held", "white")
    """Policies that can explore it (see `CollectConfig.policy`); the first is what noise is made of."""
    skill: int = 0
    """How hard the game is, where one can choose: Doom's 1 to 5."""
    resolution: str = ""
    """The picture that the game draws, where one can choose: Doom's 160x120, 320x240 or 640x480."""
    symmetric: bool = False
    """Whether a mirror shows the same game, with the actions' signs turned. V and M then learn from each
    recorded game twice: as it was, and in the mirror."""

    def __post_init__(self):
        _check_counts(self, action_size=1, z_size=1, hidden_size=1, mixtures=1, horizon=1, skill=0)

    @property
    def feature_size(self) -> int:
        """Length of what C is given."""
        return self.z_size + self.hidden_size * (2 if self.sees_cell else 1)

    @property
    def game_options(self) -> dict[str, object]:
        """What one can choose of the game itself (see `make_game`)."""
        return {name: value for name in ("skill", "resolution") if (value := getattr(self, name))}


TASKS = {
    "carracing": Task(name="carracing", action_size=3, z_size=32, hidden_size=256),
    "takecover": Task(
        name="takecover", action_size=1, z_size=64, hidden_size=512, horizon=2100, sees_cell=True,
        predicts_reward=False, restart_input=True, explorers=("uniform", "strafing", "fresh"), skill=4,
        resolution="320x240", symmetric=True,
    ),
}  # fmt: skip


BASELINES: dict[str, tuple[str, ...]] = {"carracing": (), "takecover": ("runner",)}
"""Of each task, players that look at nothing and don't explore: scores are compared with theirs."""


def find_task(name: str) -> Task:
    if name not in TASKS:
        raise ConfigError(f"there is no task {name!r}; the tasks are: {', '.join(sorted(TASKS))}")
    return TASKS[name]


@dataclass(frozen=True)
class CollectConfig:
    """Record episodes for V and M to learn from."""

    episodes: int = 200
    """Episodes to record."""
    policy: Literal["brownian", "held", "white", "uniform", "strafing", "fresh", "driver"] = "brownian"
    """How to explore the car's world: a slow random walk, a random action held for a while, or fresh
    noise; Doom's: uniform, an even action held for 1 to 10 frames, strafing, for up to 160, or fresh, a
    new one at each; either: an agent that plays, with noise."""
    driver: str = ""
    """For the policy driver: the agent's run folder. Empty takes the one that comes with the package."""
    noise: float = 0.3
    """For the policy driver: share of Brownian noise in its actions, from 0 to 1."""
    horizon: int = 1000
    """Frames after which an episode is cut."""
    first_seed: int = 0
    """The first episode's seed; the others follow."""

    def __post_init__(self):
        _check_choices(self)
        _check_counts(self, episodes=1, horizon=1, first_seed=0)
        _check_range(self, 0.0, 1.0, "noise")
        most = VALIDATION_SEEDS - self.episodes
        _check(self, "first_seed", self.first_seed <= most, f"{most:,} or less: training seeds only")


@dataclass(frozen=True)
class VAEConfig:
    """Train V, the variational autoencoder."""

    steps: int = 4000
    """Batches to train on."""
    batch_size: int = 100
    """Frames in a batch."""
    learning_rate: float = 1e-3
    """Adam's step size at the start."""
    anneal: bool = True
    """Whether the step size falls to zero along a half cosine."""
    free_bits: float = 0.5
    """KL in nats for each element of z that costs nothing (the paper's tolerance)."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the products. auto takes bfloat16 where the processor has units for it."""

    def __post_init__(self):
        _check_choices(self)
        _check_counts(self, steps=1, batch_size=1)
        _check_range(self, 1e-7, 1.0, "learning_rate")
        _check_range(self, 0.0, 100.0, "free_bits")


@dataclass(frozen=True)
class MDNRNNConfig:
    """Train M, the mixture-density recurrent network."""

    steps: int = 400
    """Batches to train on."""
    batch_size: int = 100
    """Sequences in a batch."""
    sequence_length: int = 200
    """Steps in a sequence; its start is drawn anywhere in an episode."""
    learning_rate: float = 1e-3
    """Adam's step size at the start."""
    anneal: bool = True
    """Whether the step size falls to zero along a half cosine."""
    clip: float = 1.0
    """Largest absolute value of an element of the gradient (the paper's clipping)."""
    reward_weight: float = 1.0
    """Weight of the squared error of the reward beside the NLL of z."""
    optimism_weight: float = 1.0
    """Factor on the squared error where M promises more reward than there was."""
    done_weight: float = 1.0
    """Weight of the cross-entropy of the end."""
    done_positive_weight: float = 10.0
    """Factor on the rare steps at which the episode ends."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the products. auto takes bfloat16 where the processor has units for it."""

    def __post_init__(self):
        _check_choices(self)
        _check_counts(self, steps=1, batch_size=1, sequence_length=1)
        _check_range(self, 1e-7, 1.0, "learning_rate")
        _check_range(self, 1e-6, 1e6, "clip")
        _check_range(self, 0.0, 1e6, "reward_weight", "done_weight")
        _check_range(self, 0.0, 1e6, "optimism_weight")
        _check_range(self, 1e-6, 1e6, "done_positive_weight")


@dataclass(frozen=True)
class ControllerConfig:
    """The shape of C."""

    inputs: Literal["zh", "z"] = "zh"
    """What C sees: z and M's memory, or z alone (the paper's ablation)."""
    bias: bool = True
    """Whether C adds a constant to each action."""
    hidden: int = 0
    """Units of a tanh layer between features and actions; 0 for the paper's linear C."""

    def __post_init__(self):
        _check_choices(self)
        _check_counts(self, hidden=0)


End = Literal["cutoff", "sampled"]
"""How a dream ends: where M finds the end more likely than not, or by chance, as likely as M says."""


@dataclass(frozen=True)
class EvolutionConfig:
    """Evolve C by CMA-ES in one world, dream or real."""

    world: Literal["dream", "real"] = "dream"
    """Where candidates are tried out."""
    generations: int = 100
    """Times that CMA-ES asks and is told."""
    population: int = 64
    """Candidates in a generation."""
    episodes: int = 16
    """Tracks (or dreams) on which each candidate is scored, in each generation."""
    common: bool = True
    """Whether all candidates of a generation get the same tracks."""
    diagonal: bool = False
    """Whether the covariance stays diagonal (separable CMA-ES): quicker to learn, sees less."""
    sigma: float = 0.1
    """CMA-ES's first step size."""
    weight_decay: float = 0.01
    """Penalty in the fitness: this times the mean square of the search's coordinates."""
    components: int = -1
    """Search along so many combinations of C's features; 0 takes all of them, and -1 searches the plain
    weights as the paper does."""
    directions: Literal["predictive", "advantage"] = "predictive"
    """Which combinations: those that best foretell the features to come; or those that best tell which
    action is better, by M's dreams of each (these are few)."""
    start: Literal["zero", "previous"] = "zero"
    """Begin at C = 0, or at the controller that the stage before left."""
    horizon: int = 1000
    """Frames after which an episode is cut."""
    patience: int = 0
    """End an episode after so many frames without reward; 0 never does."""
    temperature: float = 1.0
    """tau: how much chance there is in the dream (section 2.2)."""
    end: End = "cutoff"
    """Where M finds the end likelier than not (as in the paper), or by chance, as likely as M says."""
    precision: Literal["auto", "float32", "bfloat16"] = "float32"
    """Number format of M's products in the dream. auto takes bfloat16 where the processor has units for
    it: nearly twice as fast there, and a dream is noisy anyway."""
    average: int = 1
    """Generations whose means are averaged into the controller that is validated."""
    validate_every: int = 5
    """Generations between tests of the mean in the real game."""
    validation_episodes: int = 16
    """Real games in such a test. The best tested controller is kept."""
    validation_horizon: int = 1000
    """Frames after which a game of such a test is cut."""

    def __post_init__(self):
        _check_choices(self)
        _check_counts(self, generations=1, population=4, episodes=1, horizon=1, patience=0)
        _check_counts(self, average=1, validate_every=1, validation_episodes=2, validation_horizon=1)
        _check_counts(self, components=-1)
        if self.components >= 0 and self.world == "real":
            _check_long_enough(self)
        _check_range(self, 1e-6, 10.0, "sigma")
        _check_range(self, 0.0, 1e9, "weight_decay")
        _check_range(self, 0.05, 10.0, "temperature")


@dataclass(frozen=True)
class RoundsConfig:
    """C plays, M learns on from that, C learns on in M's dream; and again (section 5)."""

    rounds: int = 12
    """Times that this is done."""
    games: int = 96
    """Real games in a round, each played by a relative of C; the first eighth by C itself."""
    spread: float = 0.06
    """How far the relatives are from C: the deviation in the search's coordinates."""
    components: int = 24
    """Coordinates for each action: combinations of features that best foretell those to come."""
    horizon: int = 1000
    """Frames after which a real game is cut."""
    patience: int = 80
    """End a real game after so many frames without reward; 0 never does."""
    recent: int = 6
    """Rounds from whose games M learns, the present one included."""
    share: float = 0.5
    """Share of those games in a batch. The rest are explorers' games."""
    mdnrnn: MDNRNNConfig = MDNRNNConfig(steps=150, learning_rate=5e-4)
    """How M learns on."""
    dream: EvolutionConfig = EvolutionConfig(
        generations=15, episodes=16, horizon=200, sigma=0.04, weight_decay=0.0, average=3
    )
    """How C learns on. Its coordinates and its tests are those of the rounds: components,
    directions, start, patience and validation are not looked at here."""

    def __post_init__(self):
        _check_counts(self, rounds=1, games=4, components=0, recent=1, patience=0)
        _check_long_enough(self)
        _check_range(self, 1e-6, 10.0, "spread")
        _check_range(self, 0.0, 1.0, "share")
        _check(self, "dream", self.dream.world == "dream", "an evolution in the dream")


@dataclass(frozen=True)
class IterateConfig:
    """C plays, V and M learn on from its games too, and C learns in the new dream (section 5)."""

    episodes: int = 300
    """Games that C plays."""
    noise: float = 0.2
    """Share of the explorer in its actions, from 0 to 1."""
    horizon: int = 1000
    """Frames after which such a game is cut."""
    share: float = 0.5
    """Share of those games in a batch. The rest are explorers' games."""
    vae: VAEConfig = VAEConfig(steps=1000, learning_rate=3e-4)
    """How V learns on."""
    mdnrnn: MDNRNNConfig = MDNRNNConfig(steps=300, learning_rate=5e-4)
    """How M learns on."""
    dream: EvolutionConfig = EvolutionConfig(start="previous")
    """How C learns in the new dream."""

    def __post_init__(self):
        _check_counts(self, episodes=1, horizon=1)
        _check_range(self, 0.0, 1.0, "noise", "share")
        _check(self, "dream", self.dream.world == "dream", "an evolution in the dream")


@dataclass(frozen=True)
class EvaluateConfig:
    """Score a controller on games it has never met."""

    episodes: int = 100
    """Games to play."""
    first_seed: int = REPORTING_SEEDS
    """The first game's seed; the others follow."""
    horizon: int = 1000
    """Frames after which a game is cut."""

    def __post_init__(self):
        _check_counts(self, episodes=1, first_seed=0, horizon=1)
        # Two episodes or more give a spread; one would be an anecdote.
        _check(self, "episodes", self.episodes >= 2, "2 or more: a single game is an anecdote")


@dataclass(frozen=True)
class Machine:
    """How the work is spread over this machine. Only `backend` changes a result."""

    workers: int = 0
    """Processes that run games; 0 takes one for each core."""
    lanes: int = 64
    """Games held open at once. (EnvPool opens a whole generation's: it is fastest that way.)"""
    backend: Literal["exact", "envpool"] = "exact"
    """Which CarRacing to *train* on: Gymnasium's pixels, or EnvPool's look-alike. Never for scores."""

    def __post_init__(self):
        _check_choices(self)
        _check_counts(self, workers=0, lanes=1)

    @property
    def worker_count(self) -> int:
        return min(self.workers or os.cpu_count() or 1, self.lanes)


StageName = Literal["collect", "vae", "mdnrnn", "dream", "iterate", "rounds", "real", "evaluate"]

_NEEDS: dict[str, tuple[str, ...]] = {
    "collect": (),
    "vae": ("collect",),
    "mdnrnn": ("vae",),
    "dream": ("mdnrnn",),
    "iterate": ("dream",),
    "rounds": ("dream",),
    "real": ("mdnrnn",),
    "evaluate": ("dream", "iterate", "rounds", "real"),
}
"""All stages in their order, and those of which one at least must come before each."""
MAKE_V: tuple[StageName, ...] = ("vae", "iterate")
MAKE_M: tuple[StageName, ...] = ("mdnrnn", "iterate", "rounds")
MAKE_C: tuple[StageName, ...] = ("dream", "iterate", "rounds", "real")


@dataclass(frozen=True)
class RunConfig:
    """All that a run depends on. The same configuration on the same machine gives the same numbers."""

    task: str = "carracing"
    """The game."""
    seed: int = 1
    """Seed of everything that is drawn, apart from the games."""
    stages: tuple[StageName, ...] = (
        "collect", "vae", "mdnrnn", "dream", "rounds", "real", "evaluate",
    )  # fmt: skip
    """The stages, in their order."""
    collect: CollectConfig = CollectConfig()
    vae: VAEConfig = VAEConfig()
    mdnrnn: MDNRNNConfig = MDNRNNConfig()
    controller: ControllerConfig = ControllerConfig()
    dream: EvolutionConfig = EvolutionConfig()
    iterate: IterateConfig = IterateConfig()
    rounds: RoundsConfig = RoundsConfig()
    real: EvolutionConfig = EvolutionConfig(world="real", start="previous")
    evaluate: EvaluateConfig = EvaluateConfig()
    machine: Machine = Machine()

    def __post_init__(self):
        explorers = find_task(self.task).explorers
        fits = self.collect.policy in (*explorers, "driver")
        _check(self.collect, "policy", fits, f"{', '.join(explorers)} or driver in {self.task}")
        _check_counts(self, seed=0)
        self._check_stages()
        _check(self.dream, "world", self.dream.world == "dream", "dream in the stage dream")
        _check(self.real, "world", self.real.world == "real", "real in the stage real")
        if "iterate" in self.stages:
            fits = self.collect.first_seed + self.collect.episodes <= ITERATE_SEEDS
            _check(self.collect, "first_seed", fits, "such that all seeds stay below iterate's 500,000")
        reporting = self.evaluate.first_seed >= REPORTING_SEEDS
        _check(self.evaluate, "first_seed", reporting, f"a reporting seed, {REPORTING_SEEDS:,} or more")
        most = find_task(self.task).horizon
        if self.machine.backend == "envpool":
            rule = f"exact: EnvPool has no {self.task}"
            _check(self.machine, "backend", self.task == "carracing", rule)
            for stage in (self.collect, self.iterate, self.rounds, self.real):
                _check(stage, "horizon", stage.horizon <= most, f"{most} or less: EnvPool stops there")

    def _check_stages(self) -> None:
        named = all(stage in _NEEDS for stage in self.stages)
        in_order = named and self.stages == tuple(stage for stage in _NEEDS if stage in self.stages)
        rule = f"some of these, each once, in this order: {' '.join(_NEEDS)}"
        _check(self, "stages", len(self.stages) > 0 and in_order, rule)
        for stage in self.stages:
            one_of = _NEEDS[stage]
            there = not one_of or not set(one_of).isdisjoint(self.stages)
            _check(self, "stages", there, f"such that {' or '.join(one_of)} comes before {stage}")
        first = next((s for s in self.stages if s in ("dream", "real")), None)
        if first:
            config = getattr(self, first)
            _check(config, "start", config.start == "zero", "zero in the first stage that evolves C")

    def stages_before(self, stage: StageName) -> tuple[StageName, ...]:
        """Those of this run that come before the stage.

        Raises:
            ConfigError: the run has no such stage.
        """
        if stage not in self.stages:
            raise ConfigError(f"the stage {stage} is not one of this run's: {' '.join(self.stages)}")
        return self.stages[: self.stages.index(stage)]

    def stage_hash(self, stage: StageName) -> str:
        """A digest of all that the stage's outcome depends on: the task, the seed, it, those before."""
        before = (*self.stages_before(stage), stage)
        relevant = {"task": dataclasses.asdict(find_task(self.task)), "seed": self.seed}
        relevant["backend"] = self.machine.backend
        if not set(MAKE_C).isdisjoint(before):
            relevant["controller"] = dataclasses.asdict(self.controller)
        relevant["stages"] = [[name, dataclasses.asdict(getattr(self, name))] for name in before]
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]
