"""Configuration: how much effort goes into a run (a `RunConfig`), and what its stages are (`STAGES`).

The profiles, which fix every number of a run, live with their games, in `wmlib.tasks`.

Every field's comment is also its help on the command line. Dataclasses are frozen, and a bad value
fails when the object is made, with the field's name and its bound in the message.
"""

import dataclasses
import hashlib
import json
import re
from dataclasses import dataclass
from typing import Literal

from wmlib.runtime.cores import core_count
from wmlib.runtime.fields import (
    ConfigError,
    check,
    check_choices,
    check_counts,
    check_counts_or_all,
    check_range,
    check_room,
    check_seed,
    check_taus,
)
from wmlib.task import find_task

ITERATE_SEEDS = 500_000
"""Training seeds of the games that the agent plays in the stage iterate; explorers' seeds lie below."""
REFIT_SEEDS = 750_000
"""Training seeds of the games that the agent plays in the stage refit; those of iterate lie below."""
VALIDATION_SEEDS = 1_000_000
"""Seeds below are for training; from here on for choosing between checkpoints."""
FIDELITY_SEEDS = 1_500_000
"""Validation seeds of the games by which a dream is judged; those that choose checkpoints lie below."""
REPORTING_SEEDS = 2_000_000
"""Seeds from here on are for the scores we report, and for nothing else."""

TAUS = (0.1, 0.5, 1.0, 1.15, 1.3)
"""Temperatures of the paper's table."""

Precision = Literal["auto", "float32", "bfloat16"]
"""Number format of the products. auto takes bfloat16 where the processor has units for it."""
End = Literal["cutoff", "sampled"]
"""How a dream ends: where M finds the end more likely than not, or by chance, as likely as M says."""


@dataclass(frozen=True)
class CollectConfig:
    """Record episodes for V and M to learn from."""

    episodes: int = 200
    """Episodes to record."""
    policy: str = "brownian"
    """Who explores: one of the game's explorers (an unknown name lists them), or agent: an agent that
    plays, with noise."""
    agent: str = ""
    """For the policy agent: its run folder. Empty takes the one that comes with the package."""
    noise: float = 0.3
    """For the policy agent: share of the game's first explorer in its actions, from 0 to 1."""
    horizon: int = 1000
    """Frames after which an episode is cut."""
    first_seed: int = 0
    """The first episode's seed; the others follow."""

    def __post_init__(self):
        check_counts(self, episodes=1, horizon=1)
        check_range(self, 0.0, 1.0, "noise")
        check_seed(self, "first_seed")
        most = VALIDATION_SEEDS - self.episodes
        check(self, "first_seed", self.first_seed <= most, f"{most:,} or less: training seeds only")


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
    precision: Precision = "auto"
    """Number format of the products. auto takes bfloat16 where the processor has units for it."""

    def __post_init__(self):
        check_choices(self)
        check_counts(self, steps=1, batch_size=1)
        check_range(self, 1e-7, 1.0, "learning_rate")
        check_range(self, 0.0, 100.0, "free_bits")


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
    reward_weight: float | None = 1.0
    """Weight of the squared error of the reward beside the NLL of z. None takes one over the variance of
    the rewards that M learns from, whatever a game's points are worth."""
    optimism_weight: float = 1.0
    """Factor on the squared error where M promises more reward than there was."""
    done_weight: float = 1.0
    """Weight of the cross-entropy of the end."""
    done_positive_weight: float = 10.0
    """Factor on the rare steps at which the episode ends."""
    precision: Precision = "auto"
    """Number format of the products. auto takes bfloat16 where the processor has units for it."""

    def __post_init__(self):
        check_choices(self)
        check_counts(self, steps=1, batch_size=1, sequence_length=1)
        check_range(self, 1e-7, 1.0, "learning_rate")
        check_range(self, 1e-6, 1e6, "clip")
        check_range(self, 0.0, 1e6, "done_weight")
        if self.reward_weight is not None:
            check_range(self, 0.0, 1e6, "reward_weight")
        check_range(self, 0.0, 1e6, "optimism_weight")
        check_range(self, 1e-6, 1e6, "done_positive_weight")


@dataclass(frozen=True)
class ControllerConfig:
    """The shape of C."""

    inputs: Literal["zh", "z", "h"] = "zh"
    """What C sees: z and M's memory, z alone (the paper's ablation), or the memory alone."""
    bias: bool = True
    """Whether C adds a constant to each action."""
    hidden: int = 0
    """Units of a tanh layer between features and actions; 0 for the paper's linear C."""

    def __post_init__(self):
        check_choices(self)
        check_counts(self, hidden=0)


@dataclass(frozen=True)
class Search:
    """How C is searched for, wherever the candidates play."""

    strategy: Literal["cma", "pairs"] = "cma"
    """cma: CMA-ES, which learns in which directions to step. pairs: mirrored pairs, each on tracks of
    its own; only which of a pair did better counts."""
    generations: int = 100
    """Times that the strategy asks and is told."""
    population: int = 64
    """Candidates in a generation."""
    episodes: int = 16
    """Tracks (or dreams) on which each candidate is scored, in each generation."""
    common: bool = True
    """Whether all candidates of a generation get the same tracks."""
    finals: int = 0
    """Further tracks in each generation for the better half, which are ranked anew by all of theirs."""
    hard: int = 0
    """How many of a generation's tracks are not new, but those of late on which candidates did worst."""
    diagonal: bool = False
    """Whether the covariance stays diagonal (separable CMA-ES): quicker to learn, sees less."""
    sigma: float = 0.1
    """Step size: CMA-ES's first, or that of all pairs."""
    weight_decay: float = 0.01
    """Penalty in the fitness: this times the mean square of the search's coordinates."""
    average: int = 1
    """Generations whose means are averaged into the controller that is kept or tested."""
    horizon: int = 1000
    """Frames after which an episode is cut."""
    patience: int = 0
    """End an episode after so many frames without reward; 0 never does."""
    charge: bool = False
    """Whether an episode that patience ends is charged for the frames that are left. Else it costs less
    to give up than to drive on."""
    jerk: float = 0.0
    """Penalty in the fitness: this times the squared change of the action, added up over an episode."""

    def __post_init__(self):
        check_choices(self)
        check_counts(
            self,
            generations=1,
            population=4,
            episodes=1,
            average=1,
            horizon=1,
            patience=0,
            finals=0,
            hard=0,
        )
        check_range(self, 1e-6, 10.0, "sigma")
        check_range(self, 0.0, 1e9, "weight_decay", "jerk")
        pairs = self.strategy == "pairs"
        check(self, "population", not pairs or self.population % 2 == 0, "even: it is made of pairs")
        rule = "{} where pairs have tracks of their own"
        check(self, "diagonal", not (pairs and self.diagonal), rule.format("False"))
        check(self, "finals", not (pairs and self.finals), rule.format("0"))
        own = pairs or not self.common
        check(self, "hard", not (own and self.hard), rule.format("0"))
        check(
            self, "hard", self.hard < self.episodes, "less than episodes: there must be new tracks too"
        )


@dataclass(frozen=True)
class DreamSearch(Search):
    """How C is searched for in M's dream, whatever its temperature."""

    end: End = "cutoff"
    """Where M finds the end likelier than not (as in the paper), or by chance, as likely as M says."""
    precision: Precision = "float32"
    """Number format of M's products in the dream. auto takes bfloat16 where the processor has units for
    it: nearly twice as fast there, and a dream is noisy anyway."""
    dropout: float = 0.0
    """Share of z and h that is missing in a dream, other numbers in each: no dream is quite like the
    others, and what works in one alone does not pay."""

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 0.0, 0.9, "dropout")


@dataclass(frozen=True)
class Coordinates:
    """What CMA-ES moves: C's weights, or weights on combinations of what C sees."""

    kind: Literal["weights", "predictive", "advantage"] = "weights"
    """weights: C's own, as in the paper. predictive: on the combinations of features that best foretell
    those to come. advantage: on those that best tell which action is better, by M's dreams of each
    (these are few)."""
    count: int | None = None
    """How many combinations; None takes all of them."""

    def __post_init__(self):
        check_choices(self)
        check_counts_or_all(self, "count")
        plain = self.kind == "weights"
        check(
            self,
            "count",
            not plain or self.count is None,
            "None where kind is weights: choose predictive or advantage",
        )


@dataclass(frozen=True)
class Validation:
    """Tests of the search's mean in the real game. The best tested controller is kept."""

    every: int = 5
    """Generations between two tests."""
    episodes: int = 16
    """Games in a test."""
    horizon: int = 1000
    """Frames after which such a game is cut."""

    def __post_init__(self):
        check_counts(self, every=1, episodes=2, horizon=1)
        check_room(self, VALIDATION_SEEDS, FIDELITY_SEEDS)


@dataclass(frozen=True)
class DreamConfig(DreamSearch):
    """Evolve C in M's dream."""

    tau: float = 1.0
    """Temperature: how much chance there is in the dream (section 2.2)."""
    start: Literal["zero", "previous"] = "zero"
    """Begin at C = 0, or at the controller that the stage before left."""
    coordinates: Coordinates = Coordinates()
    validation: Validation = Validation()

    def __post_init__(self):
        super().__post_init__()
        check_taus(self, "tau")


@dataclass(frozen=True)
class RealConfig(Search):
    """Evolve C in the real game."""

    grass: float = 0.0
    """Penalty in training: this for each wheel on the grass, in each frame. (The car's look-alike sketch
    alone knows of it.)"""

    start: Literal["zero", "previous"] = "previous"
    """Begin at C = 0, or at the controller that the stage before left."""
    coordinates: Coordinates = Coordinates()
    validation: Validation = Validation()

    def __post_init__(self):
        super().__post_init__()
        check_range(self, 0.0, 100.0, "grass")
        if self.coordinates.kind != "weights":
            _check_long_enough(self)


@dataclass(frozen=True)
class RoundsConfig:
    """C plays, M learns on from that, C learns on in M's dream; and again (section 5)."""

    rounds: int = 12
    """Times that this is done."""
    games: int = 96
    """Real games in a round, each played by a relative of C; the first eighth by C itself."""
    spread: float = 0.06
    """How far the relatives are from C: the deviation in the search's coordinates."""
    components: int | None = 24
    """Coordinates for each action: combinations of features that best foretell those to come. None takes
    all of them."""
    horizon: int = 1000
    """Frames after which a real game is cut."""
    patience: int = 80
    """End a real game after so many frames without reward; 0 never does."""
    recent: int = 6
    """Rounds from whose games M learns, the present one included."""
    share: float = 0.5
    """Share of those games in a batch. The rest are explorers' games."""
    margin: int = 90
    """Frames before the end of a game in which no dream begins: the crash, or the boredom, that ended it
    is already under way there."""
    mdnrnn: MDNRNNConfig = MDNRNNConfig(steps=150, learning_rate=5e-4)
    """How M learns on."""
    dream: DreamSearch = DreamSearch(
        generations=15, episodes=16, horizon=200, sigma=0.04, weight_decay=0.0, average=3
    )
    """How C learns on."""
    tau: float = 1.0
    """Temperature of its dreams."""
    validation: Validation | None = None
    """Tests of C in the real game after each round: the best C is kept, with its M. Without them the
    last."""

    def __post_init__(self):
        check_counts(self, rounds=1, games=4, recent=1, patience=0, margin=0)
        check_counts_or_all(self, "components")
        _check_long_enough(self)
        check_range(self, 1e-6, 10.0, "spread")
        check_range(self, 0.0, 1.0, "share")
        check_taus(self, "tau")


def _check_long_enough(config: RealConfig | RoundsConfig) -> None:
    """Games from which the search's coordinates are fitted (see `wmlib.evolution.space`)."""
    check_counts(config, horizon=20)
    rule = "0, or 20 or more: shorter games show too little"
    check(config, "patience", config.patience == 0 or config.patience >= 20, rule)


@dataclass(frozen=True)
class LearnOnConfig:
    """C plays, and V and M learn on from its games too."""

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

    def __post_init__(self):
        check_choices(self)
        check_counts(self, episodes=1, horizon=1)
        check_range(self, 0.0, 1.0, "noise", "share")


@dataclass(frozen=True)
class IterateConfig(LearnOnConfig):
    """C plays, V and M learn on from its games too, and C learns in the new dream (section 5)."""

    calibrate: bool = False
    """Whether M's odds of an end are put right by how often those games ended."""
    begin: Literal["first", "anywhere"] = "first"
    """Where the new dreams begin: at first frames of explorers' games, or anywhere in C's games."""
    ends: float = 0.0
    """Share of C's games in a batch of M's that is drawn among their ends, which are rare. (calibrate
    then puts the odds right.)"""
    dream: DreamConfig = DreamConfig(start="previous")
    """How C learns in the new dream."""

    def __post_init__(self):
        super().__post_init__()
        check_room(self, ITERATE_SEEDS, REFIT_SEEDS)
        check_range(self, 0.0, 1.0, "ends")


@dataclass(frozen=True)
class RefitConfig(LearnOnConfig):
    """C plays, V and M learn on from its games too, and C is carried over to what they then see."""

    def __post_init__(self):
        super().__post_init__()
        check_room(self, REFIT_SEEDS, VALIDATION_SEEDS)


def check_scored_games(config: object) -> None:
    """Of whatever says how many games are scored, and on which seeds."""
    check_counts(config, episodes=1)
    # Two episodes or more give a spread; one would be an anecdote.
    check(config, "episodes", config.episodes >= 2, "2 or more: a single game is an anecdote")
    if config.first_seed is not None:
        check_seed(config, "first_seed", config.episodes)


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
        check_scored_games(self)
        check_counts(self, horizon=1)


@dataclass(frozen=True)
class TableConfig:
    """C learns in dreams of several temperatures, and is scored in them and in the game."""

    taus: tuple[float, ...] = TAUS
    """The temperatures, each from 0.05 to 10."""
    dream: DreamSearch = DreamSearch(generations=16, horizon=2100, precision="auto")
    """How C learns in each of them, from zero: the paper's way, but in few generations."""
    coordinates: Coordinates = Coordinates()
    episodes: int = EvaluateConfig.episodes
    """Games, and dreams, for each score."""
    first_seed: int = EvaluateConfig.first_seed
    """The first game's seed; the others follow."""

    def __post_init__(self):
        check(self, "taus", len(self.taus) > 0, "one temperature or more")
        check_taus(self, "taus")
        check_scored_games(self)


@dataclass(frozen=True)
class WebConfig:
    """What the page is to show of an agent."""

    name: str = ""
    """Name of its folder there; by default that of the game."""
    title: str = ""
    """What the page calls the game; by default its name."""
    seed: int = 1_500_000
    """Of the game that is recorded; one that no score is reported from."""
    steps: int = 600
    """Frames of it, at most."""
    dreams: int = 32
    """Dreams in which it is measured what each controller is promised."""

    def __post_init__(self):
        check_counts(self, steps=2, dreams=2)
        check_seed(self, "seed")
        plain = self.name.replace("-", "").replace("_", "").replace(".", "")
        check(self, "name", not self.name or (plain.isalnum() and plain.isascii()), "letters and digits")


@dataclass(frozen=True)
class FidelityConfig:
    """How far an agent's dream may be believed: its scores, ends and pictures against the game's."""

    taus: tuple[float, ...] = TAUS
    """Temperatures of the dreams in which the agent is scored, each from 0.05 to 10."""
    tau: float = 1.15
    """Temperature of all other dreams, from 0.05 to 10."""
    episodes: int = EvaluateConfig.episodes
    """Games that the agent plays."""
    controllers: int = 24
    """Controllers, from the agent's to chance, whose order in the dream and in the game is compared,
    over a quarter of the games each."""

    def __post_init__(self):
        check(self, "taus", len(self.taus) > 0, "one temperature or more")
        check_taus(self, "taus", "tau")
        check(self, "controllers", self.controllers >= 2, "2 or more: one alone has no order")
        check_counts(self, episodes=2, controllers=2)
        check_room(self, FIDELITY_SEEDS, REPORTING_SEEDS)


@dataclass(frozen=True)
class Machine:
    """How the work is spread over this machine, or over others. Only `backend` and `dream_batch` change
    a result."""

    workers: int = 0
    """Processes that run games; 0 takes one for each core that this process may use."""
    lanes: int = 64
    """Games held open at once. (EnvPool opens a whole generation's: it is fastest that way.)"""
    backend: Literal["exact", "sketch", "envpool"] = "exact"
    """Which game to *train* on: its own pixels, or a faster look-alike where there is one: sketch, the
    same game drawn coarsely, or EnvPool's. Scores are always the game's own."""
    scheduler: str = ""
    """Who plays the games: dask's scheduler, as in tcp://host:8786, or local:N for N worker processes
    here. Empty: the processes above. (docs/cluster.md says more.)"""
    dream_batch: int = 0
    """Dreams computed at once, when C evolves in them: batches are spread over the scheduler's workers.
    0 takes a whole generation, here. Another batch rounds otherwise, so a few scores may be others."""

    def __post_init__(self):
        check_choices(self)
        check_counts(self, workers=0, lanes=1, dream_batch=0)
        fits = re.fullmatch(r"|local:[1-9][0-9]{0,3}|(tcp|tls)://\S+:[0-9]+", self.scheduler)
        rule = "an address, as in tcp://host:8786 or tls://host:8786, or local:N"
        check(self, "scheduler", bool(fits), rule)

    @property
    def worker_count(self) -> int:
        return min(self.workers or core_count(), self.lanes)

    def lanes_for(self, games: int) -> int:
        """How many are held open at once, of so many games to be played."""
        return min(games, self.lanes)


@dataclass(frozen=True)
class Stage:
    """A step of a run.

    needs: stages of which one at least must come before. makes: what it leaves behind, by kind. command:
    what runs it alone, on the command line.
    """

    name: str
    needs: tuple[str, ...]
    makes: tuple[Literal["episodes", "vae", "dream_starts", "mdnrnn", "controller", "score"], ...]
    command: str


STAGES = {
    stage.name: stage
    for stage in (
        Stage("collect", (), ("episodes",), "collect"),
        Stage("vae", ("collect",), ("vae", "dream_starts"), "vae"),
        Stage("mdnrnn", ("vae",), ("mdnrnn",), "mdnrnn"),
        Stage("dream", ("mdnrnn",), ("controller",), "evolve"),
        Stage("iterate", ("dream",), ("vae", "dream_starts", "mdnrnn", "controller"), "evolve"),
        Stage("rounds", ("dream",), ("mdnrnn", "controller"), "evolve"),
        Stage("refit", ("dream",), ("vae", "dream_starts", "mdnrnn", "controller"), "evolve"),
        Stage("real", ("mdnrnn",), ("controller",), "evolve"),
        Stage("evaluate", ("dream", "iterate", "rounds", "refit", "real"), ("score",), "run"),
    )
}
"""All stages, in their order. Each has a field of its name in `RunConfig`."""

StageName = Literal[tuple(STAGES)]


def makers(kind: str) -> tuple[StageName, ...]:
    """The stages that make this kind of thing, in their order."""
    return tuple(name for name, stage in STAGES.items() if kind in stage.makes)


@dataclass(frozen=True)
class RunConfig:
    """All that a run depends on. The same configuration on the same machine gives the same numbers."""

    task: str = "carracing"
    """The game: a name, or the file of a game of yours (see `wmlib.task.find_task`)."""
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
    dream: DreamConfig = DreamConfig()
    iterate: IterateConfig = IterateConfig()
    rounds: RoundsConfig = RoundsConfig()
    refit: RefitConfig = RefitConfig()
    real: RealConfig = RealConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    machine: Machine = Machine()

    def __post_init__(self):
        task = find_task(self.task)
        object.__setattr__(self, "task", task.source or task.name)
        players = (*task.explorers, "agent")
        rule = f"{', '.join(task.explorers)} or agent in {task.name}"
        check(self.collect, "policy", self.collect.policy in players, rule)
        check_seed(self, "seed")
        self._check_stages()
        if not {"iterate", "refit"}.isdisjoint(self.stages):
            fits = self.collect.first_seed + self.collect.episodes <= ITERATE_SEEDS
            check(
                self.collect,
                "first_seed",
                fits,
                "such that all seeds stay below 500,000: C plays from there on",
            )
        reporting = self.evaluate.first_seed >= REPORTING_SEEDS
        check(self.evaluate, "first_seed", reporting, f"a reporting seed, {REPORTING_SEEDS:,} or more")
        kinds = [kind for kind in ("exact", "sketch", "envpool") if kind in task.games]
        rule = f"{' or '.join(kinds)}: {task.name} has no other"
        check(self.machine, "backend", self.machine.backend in kinds, rule)
        knows = self.machine.backend == "sketch"
        check(
            self.real, "grass", not self.real.grass or knows, "0: only the backend sketch knows of grass"
        )
        if self.machine.backend == "envpool":
            for stage in (self.collect, self.iterate, self.rounds, self.refit, self.real):
                rule = f"{task.horizon} or less: EnvPool stops there"
                check(stage, "horizon", stage.horizon <= task.horizon, rule)

    def _check_stages(self) -> None:
        named = all(stage in STAGES for stage in self.stages)
        in_order = named and self.stages == tuple(stage for stage in STAGES if stage in self.stages)
        rule = f"some of these, each once, in this order: {' '.join(STAGES)}"
        check(self, "stages", len(self.stages) > 0 and in_order, rule)
        for stage in self.stages:
            one_of = STAGES[stage].needs
            there = not one_of or not set(one_of).isdisjoint(self.stages)
            check(self, "stages", there, f"such that {' or '.join(one_of)} comes before {stage}")
        first = next((name for name in self.stages if name in makers("controller")), None)
        if first:  # refit is never the first: it needs one that dreams
            config = getattr(self, first)
            check(config, "start", config.start == "zero", "zero in the first stage that evolves C")

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
        relevant = {"task": find_task(self.task).as_dict(), "seed": self.seed}
        relevant["backend"] = self.machine.backend
        if self.machine.dream_batch:
            relevant["dream_batch"] = self.machine.dream_batch
        if not set(makers("controller")).isdisjoint(before):
            relevant["controller"] = dataclasses.asdict(self.controller)
        relevant["stages"] = [[name, dataclasses.asdict(getattr(self, name))] for name in before]
        return hashlib.sha256(json.dumps(relevant, sort_keys=True).encode()).hexdigest()[:16]
