"""Every number one may change, with its unit and range, in sections."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Any, ClassVar

from rr_engine.errors import ConfigError
from rr_engine.settings.ranges import (
    Amount,
    Anchor,
    Between,
    Count,
    Elo,
    Factor,
    Limits,
    Natural,
    Profiles,
    Rate,
    Role,
    Seconds,
    Share,
    Temperature,
    Text,
    WarmStart,
)

_MOST_TIMES = 10  # that one term of the plan may weigh another


class Section:
    """What all sections share: a key that is not a field is refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True)
class SelfplaySettings(Section):
    """Games of one self-play run, and how widely its players explore."""

    games: Natural = 0  # games made by one run; 0: as many as the plan grants
    unplanned_games: Count = 400  # the same, as long as there is no plan
    shard_games: Count = 100  # games stored in one shard: durable as soon as as many have ended
    temperature: Temperature = 1.0  # of the move choice, in the first part of a game
    temperature_late: Temperature = 0.2  # of the move choice, afterwards
    temperature_share: Share = 0.15  # length of the first part, over the decisions of a typical game
    opening_decisions: Natural = 8  # decisions of an opening, made for the players: this many or down to half
    min_distinct: Share = 0.98  # different games over games made, at least
    simulations: Count = 32  # of a full search, whose policy is learned
    cheap_simulations: Natural = 8  # of a cheap search, which only moves the game on
    full_share: Share = 0.25  # of the decisions that get a full search
    win_cells: Natural = 0  # what `search.win_cells` is to matches
    opponent_share: Share = 0.5  # of a champion's games that are against another player
    opponent: Anchor = "heuristic"  # that player, as long as there is no plan
    games_at_once: Count = 512  # side by side: many keep the network's batches large
    seed: Natural = 0  # root of all random numbers of the run


@dataclass(frozen=True)
class SearchSettings(Section):
    """Gumbel AlphaZero (Danihelka et al. 2022)."""

    considered: Count = 16  # moves drawn at the root, at most; no more than half of the simulations, or two
    c_visit: Amount = 50.0  # a value weighs (c_visit + most visits of a sibling) * c_scale against logits
    c_scale: Amount = 1.0  # values lie between 0 and 1
    win_cells: Natural = 64  # in matches all is tried to win within a turn, on boards of up to so many cells


@dataclass(frozen=True)
class DatasetSettings(Section):
    """Which games a training window takes, and when it suffices to train."""

    max_age_hours: Amount = 48.0  # hours; older games are left out
    max_generations: Count = 3  # champions; games of players further behind are left out
    fresh_hours: Amount = 24.0  # hours since the newest game, at most, when a dataset is made
    min_seat_share: Share = 0.5  # of the samples an even spread gives a seat, at least
    max_samples: Count = 500_000  # decisions in one window, newest first
    max_memory_gb: Amount = 6.0  # of one window in use: what limits it on large boards
    least_samples: Count = 250_000  # decisions up to which the window takes all there is
    growth: Share = 0.75  # exponent of the window's growth with the decisions made, from there on
    silent_share: Share = 0.25  # of the decisions without a policy target, kept for their value
    validation_share: Share = 0.1  # of the games (never of single decisions) kept from training
    min_new_samples: Count = 5_000  # decisions not seen by the last training, with 2 players
    new_samples_factor_3p: Share = 0.6  # times `min_new_samples`
    new_samples_factor_4p: Share = 0.4  # times `min_new_samples`
    max_replay_ratio: Amount = 8.0  # samples trained on over samples made


@dataclass(frozen=True)
class NetworkSettings(Section):
    """Size of the trunk; the same on every board, so that weights can move from one to another."""

    channels: Count = 32  # feature maps per cell
    blocks: Count = 4  # residual blocks


@dataclass(frozen=True)
class TrainingSettings(Section):
    """One training run."""

    passes: Annotated[float, Between(0.01, 1000)] = 4.0  # over the window, at most; the last one may be partial
    batch_size: Count = 128  # decisions per step, about
    learning_rate: Rate = 4e-3  # peak of the schedule
    final_rate: Share = 0.1  # of the peak, at the end of the schedule
    warmup_share: Share = 0.05  # of the steps, until the peak is reached
    weight_decay: Rate = 1e-3  # times the learning rate, per step
    clip_norm: Amount = 1.0  # largest norm of the gradient
    average_steps: Count = 200  # steps over which weights are averaged; a quarter of the steps done, while that is less
    label_smoothing: Rate = 0.0  # of the policy targets
    surprise_share: Share = 0.0  # of a decision's policy weight that follows how wrong the network is there
    root_value_share: Share = 0.3  # of the value target that the search's own value makes up, where there is one
    value_weight: Amount = 1.0  # of the value loss, against the policy loss
    owner_weight: Amount = 0.15  # of the loss on final territory
    score_weight: Amount = 0.1  # of the loss on final scores
    patience: Count = 2  # passes without a better validation loss before stopping
    state_interval_s: Amount = 120.0  # seconds after which a run's state is kept, besides at the end of a pass
    warm_start: WarmStart = "auto"  # whose champion lends weights to a config without one
    seed: Natural = 0  # of the first weights, the order and the symmetries


@dataclass(frozen=True)
class MatchSettings(Section):
    """Matches between two players. A pair is one opening played once from every seat in turn."""

    pairs: Count = 200  # pairs against the heuristic, of who may become champion
    anchor_pairs: Count = 50  # pairs against the weaker anchors, and against the heuristic of who fails the gate
    mastered_pairs: Count = 10  # pairs against random and greedy once somebody has mastered them (`curriculum`)
    search_anchor_pairs: Natural = 10  # pairs against search:heuristic:64, of who may become champion; 0: none
    opening_decisions: Natural = 4  # decisions of an opening, made for both players
    temperature: Temperature = 0.0  # of the move choice, after the opening
    simulations: Natural = 32  # per move of a network; 0: its policy alone decides
    move_time_ms: Count = 1000  # milliseconds an outside program has for a move, by the clock on the wall
    start_time_ms: Count = 10_000  # milliseconds it has to answer the greeting
    min_distinct: Share = 0.9  # different games of a match over its openings, at least
    seed: Natural = 0  # of the openings


@dataclass(frozen=True)
class GateSettings(Section):
    """The sequential test a candidate must pass to become champion."""

    elo0: Elo = 0.0  # Elo of the hypothesis "no better"
    elo1: Elo = 45.0  # Elo of the hypothesis "better"
    alpha: Share = 0.05  # chance to promote a candidate that is no better
    beta: Share = 0.05  # chance to refuse a candidate that is better
    wave_pairs: Count = 50  # pairs played before the test looks again; with more seats, as many games
    max_pairs: Count = 400  # pairs after which the test ends undecided: not promoted
    anchor_margin: Share = 0.08  # win rate a candidate may lose against the heuristic, by its lower bound
    proven_share: Share = 1.0  # of an even share, that its lower bound against the heuristic must pass to make games

    def wave_groups(self, seats: int) -> int:
        """Groups of one opening from every seat that are played before the test looks again."""
        return min(self.max_pairs, max(1, 2 * self.wave_pairs // seats))

    def __post_init__(self) -> None:
        if not self.elo0 < self.elo1:
            raise ConfigError(f"gate.elo1 = {self.elo1} must be above gate.elo0 = {self.elo0}")
        if not (0 < self.alpha < 0.5 and 0 < self.beta < 0.5):
            raise ConfigError(f"gate.alpha = {self.alpha} and gate.beta = {self.beta} must lie between 0 and 0.5")


@dataclass(frozen=True)
class RegressionSettings(Section):
    """From how many Elo on somebody has become weaker, and how much."""

    games: Count = 50  # that a difference must rest on
    in_a_row: Count = 3  # of candidates that count as critical, however small each is
    minor: Amount = 20.0  # Elo
    moderate: Amount = 35.0  # Elo
    severe: Amount = 50.0  # Elo; a candidate's next training starts from the champion again
    critical: Amount = 75.0  # Elo; a champion is rolled back

    def __post_init__(self) -> None:
        if not self.minor <= self.moderate <= self.severe <= self.critical:
            raise ConfigError(
                f"regression.minor = {self.minor}, moderate = {self.moderate}, severe = {self.severe} and critical = "
                f"{self.critical} must not fall in this order"
            )


@dataclass(frozen=True)
class QualitySettings(Section):
    """What the quality of games to learn from, between 0 and 1, brings about."""

    gate: Share = 0.5  # nothing is trained on less
    throttle_below: Share = 0.6  # from here on fewer games are played, with more simulations each,
    throttle_times: Count = 2  # so many times,
    recover_at: Share = 0.8  # until the quality is back here

    def __post_init__(self) -> None:
        if not self.gate <= self.throttle_below <= self.recover_at:
            raise ConfigError(
                f"quality.gate = {self.gate}, quality.throttle_below = {self.throttle_below} and quality.recover_at = "
                f"{self.recover_at} must not fall in this order"
            )


@dataclass(frozen=True)
class PlanSettings(Section):
    """How self-play is shared between the configs. Terms lie in [0, 1] and are mixed by their weights."""

    games: Count = 4_800  # games of one turn over all configs
    min_share: Annotated[float, Between(0, 1 / 12)] = 0.02  # of the compute, for every config
    max_share: Annotated[float, Between(1 / 12, 1)] = 0.4  # of the compute, for one config
    weight_staleness: Amount = 1.0
    weight_velocity: Amount = 1.0
    weight_curriculum: Amount = 1.0
    weight_deficit: Amount = 1.0
    weight_uncertainty: Amount = 1.0
    fast_elo: Amount = 100.0  # Elo a day at which velocity is 1
    uncertain_elo: Amount = 200.0  # half-width of the champion's interval at which uncertainty is 1
    stale_hours: Amount = 24.0  # hours since the last games at which staleness is 1
    stuck_hours: Amount = 1.0  # hours after which games that no dataset took, or that never came, call for new ones
    blocked_factor: Factor = 1.5  # times the share of a config for each dataset in a row that is refused,
    blocked_cap: Factor = 2.0  # up to so many times
    target_win_rate: Share = 1.0  # against the heuristic, by the lower bound, at which a config rests; 1: never

    def __post_init__(self) -> None:
        weights = {name: value for name, value in vars(self).items() if name.startswith("weight_") and value}
        if weights and max(weights.values()) > _MOST_TIMES * min(weights.values()):
            largest, smallest = max(weights, key=weights.__getitem__), min(weights, key=weights.__getitem__)
            raise ConfigError(
                f"plan.{largest} = {weights[largest]} is more than {_MOST_TIMES} times plan.{smallest} = "
                f"{weights[smallest]}: no term may swamp another"
            )


@dataclass(frozen=True)
class CurriculumSettings(Section):
    """When a stage is mastered, and how exploration answers a stall."""

    mastered_win_rate: Share = 0.85  # with 2 players, against the opponent of the stage; as good odds with more
    mastered_games: Count = 100  # games that rate must rest on, at least
    mastered_factor: Share = 0.9  # times the weight, at each stage mastered
    min_weight: Share = 0.5  # the weight never falls below
    quality_penalty: Share = 0.3  # of the weight, lost at quality 0
    stall_evaluations: Count = 3  # evaluations without a promotion that make a stall
    exploration_rise: Factor = 1.3  # times the exploration, after a stall
    exploration_fall: Share = 0.9  # times the exploration, per promotion, down to 1
    max_exploration: Factor = 2.0  # the exploration never rises above


@dataclass(frozen=True)
class CrashSettings(Section):
    """What follows when runs of a config crash; a failed check is no crash."""

    in_a_row: Count = 3  # crashes after which the config pauses
    first_wait_s: Amount = 60.0  # seconds before the second try; doubles each time


@dataclass(frozen=True)
class NodeSettings(Section):
    """This machine among others."""

    role: Role = "trainer"  # a coordinator gets no games, selfplay and ephemeral (may vanish) no training


@dataclass(frozen=True)
class IdleSettings(Section):
    """When a GPU that does nothing is given games."""

    below: Share = 0.10  # use of a GPU, from 0 to 1, under which it is idle
    first_wait_s: Amount = 60.0  # seconds after a launch that failed; doubles each time,
    longest_wait_s: Amount = 1800.0  # up to this


@dataclass(frozen=True)
class AlertSettings(Section):
    """Who hears of pauses, rollbacks, critical regressions, full disks and a second vault that is not whole."""

    to: Text = ""  # a URL that the text is posted to, or a command that gets it as its last word; empty: nobody


@dataclass(frozen=True)
class VaultSettings(Section):
    """How full a disk may get, and how an object store is asked.

    A request is one question to the store and its whole answer. A file of more than one part takes a request for each,
    every one with its own time and tries. Tables by address hold for the stores whose address begins with the key; of
    several keys the longest counts. Bandwidth is that of one process, both ways together, without an entry unlimited. A
    profile names the store's own address and keys, where those of the environment are another store's.
    """

    warn_full: Share = 0.70  # of the disk: shown
    pause_full: Share = 0.93  # of the disk: nothing new is produced
    refuse_full: Share = 0.96  # of the disk: nothing is written
    timeout_s: Seconds = 60.0  # seconds that one try of a request may take, from connecting to the last byte
    attempts: Count = 6  # tries of one request
    first_wait_s: Amount = 0.5  # seconds before the second try, and up to as many by chance; doubles each time,
    longest_wait_s: Amount = 30.0  # up to this
    part_mib: Annotated[int, Between(5, 64)] = 8  # MiB of a file in one request; a part must pass within `timeout_s`
    at_once: Count = 16  # requests under way side by side, when many cards are read
    bandwidth_mb_s: Limits = field(default_factory=dict[str, float], hash=False)  # MB/s by address
    profiles: Profiles = field(default_factory=dict[str, str], hash=False)  # of AWS's own files, by address

    def __post_init__(self) -> None:
        if not self.warn_full <= self.pause_full <= self.refuse_full:
            raise ConfigError(
                f"vault.warn_full = {self.warn_full}, vault.pause_full = {self.pause_full} and "
                f"vault.refuse_full = {self.refuse_full} must not fall in this order"
            )


@dataclass(frozen=True)
class MirrorSettings(Section):
    """The second vault."""

    to: Text = ""  # its URL, as `RR_VAULT` has it; empty: there is none


@dataclass(frozen=True)
class ServeSettings(Section):
    """Where `rr serve` is found, which Dagster's pages link to."""

    url: Text = "http://127.0.0.1:8017"  # without a slash behind it; empty: nothing links there


@dataclass(frozen=True)
class RetentionSettings(Section):
    """What `rr vault gc` leaves."""

    grace_hours: Amount = 24.0  # hours; nothing younger is removed
    plans: Count = 1000  # the newest: nobody reads older ones
    pages: Count = 100  # of the leaderboard, the newest
    datasets: Count = 3  # of a config, the newest, whose bytes stay; cards always stay


@dataclass(frozen=True)
class Settings(Section):
    """All sections; a key is written `section.name`."""

    selfplay: SelfplaySettings = field(default_factory=SelfplaySettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    dataset: DatasetSettings = field(default_factory=DatasetSettings)
    network: NetworkSettings = field(default_factory=NetworkSettings)
    training: TrainingSettings = field(default_factory=TrainingSettings)
    match: MatchSettings = field(default_factory=MatchSettings)
    gate: GateSettings = field(default_factory=GateSettings)
    regression: RegressionSettings = field(default_factory=RegressionSettings)
    quality: QualitySettings = field(default_factory=QualitySettings)
    plan: PlanSettings = field(default_factory=PlanSettings)
    curriculum: CurriculumSettings = field(default_factory=CurriculumSettings)
    crash: CrashSettings = field(default_factory=CrashSettings)
    idle: IdleSettings = field(default_factory=IdleSettings)
    node: NodeSettings = field(default_factory=NodeSettings)
    alert: AlertSettings = field(default_factory=AlertSettings)
    vault: VaultSettings = field(default_factory=VaultSettings)
    mirror: MirrorSettings = field(default_factory=MirrorSettings)
    retention: RetentionSettings = field(default_factory=RetentionSettings)
    serve: ServeSettings = field(default_factory=ServeSettings)

    def __post_init__(self) -> None:
        for name in ("pairs", "anchor_pairs"):
            pairs = getattr(self.match, name)
            if 2 * pairs < self.curriculum.mastered_games:
                raise ConfigError(
                    f"match.{name} = {pairs} gives {2 * pairs} games, fewer than the curriculum.mastered_games = "
                    f"{self.curriculum.mastered_games} that mastering an opponent takes: nobody would meet the next"
                )

    @property
    def selfplay_search(self) -> SearchSettings:
        """How self-play searches."""
        return replace(self.search, win_cells=self.selfplay.win_cells)
