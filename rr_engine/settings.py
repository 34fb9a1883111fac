"""Every number one may change, with its unit and range. Knows no file but the one TOML it is given.

The sections are plain dataclasses, so importing this module needs the standard library only. `load` is the door: it
checks keys, types and ranges. Values built in code are trusted, but for the order of their bounds.
"""

import json
import math
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, get_args, get_type_hints

from rr_engine.errors import ConfigError, shown

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema, ErrorDetails

FILE_VARIABLE = "RR_SETTINGS"
_VARIABLE = re.compile(r"RR_(.*?)__(.*)")


@dataclass(frozen=True)
class Between:
    """The range of a number, both ends allowed; without `high` it is open, yet never infinite."""

    low: float
    high: float | None = None

    def __str__(self) -> str:
        return f"at least {self.low}" if self.high is None else f"between {self.low} and {self.high}"

    def check(self, value: float) -> float:
        """Return `value` if it is finite and in range; raises ValueError, to which pydantic adds the key."""
        if math.isfinite(value) and self.low <= value and (self.high is None or value <= self.high):
            return value
        raise ValueError(f"must be {self}")

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic, while it reads the annotation, to call `check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


@dataclass(frozen=True)
class Form:
    """What a text must look like, and how people are told."""

    pattern: str
    words: str

    def __str__(self) -> str:
        return self.words

    def check(self, text: str) -> str:
        """Return `text` if all of it fits the pattern; raises ValueError, to which pydantic adds the key."""
        if re.fullmatch(self.pattern, text):
            return text
        raise ValueError(f"must be {self}")

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        """Tell pydantic, while it reads the annotation, to call `check`."""
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(self.check, handler(source))


Count = Annotated[int, Between(1)]
Natural = Annotated[int, Between(0)]
Share = Annotated[float, Between(0, 1)]
Amount = Annotated[float, Between(0)]
Rate = Annotated[float, Between(0, 1)]
Factor = Annotated[float, Between(0, 10)]
Temperature = Annotated[float, Between(0, 10)]
Elo = Annotated[float, Between(-1000, 1000)]
Anchor = Annotated[str, Form(r"random|greedy|heuristic", "random, greedy or heuristic")]
WarmStart = Annotated[str, Form(r"auto|none|[a-z]+[0-9]*_[234]p", "auto, none or a config such as hex8_2p")]


class Section:
    """What all sections share: a key that is not a field is refused."""

    __pydantic_config__: ClassVar[dict[str, Any]] = {"extra": "forbid"}


@dataclass(frozen=True)
class SelfplaySettings(Section):
    """Games of one self-play run, and how widely its players explore."""

    games: Natural = 0  # games made by one run; 0: as many as the plan grants
    unplanned_games: Count = 400  # the same, as long as there is no plan
    shard_games: Count = 200  # games stored in one shard, at most
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
    restart_elo: Amount = 50.0  # a candidate so far behind the champion is given up: training restarts from the latter
    restart_games: Count = 50  # games between them that this must rest on
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
    stale_hours: Amount = 24.0  # hours since the last games at which staleness is 1
    blocked_factor: Factor = 1.5  # share of a config while its dataset fails a blocking check
    blocked_cap: Factor = 2.0  # largest share such a config gets, over what it had


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
class VaultSettings(Section):
    """How full a disk may get, and how a transfer is tried again."""

    warn_full: Share = 0.70  # of the disk: shown
    pause_full: Share = 0.93  # of the disk: nothing new is produced
    refuse_full: Share = 0.96  # of the disk: nothing is written
    attempts: Count = 4  # tries of one transfer
    first_wait_s: Amount = 0.5  # seconds before the second try; doubles each time

    def __post_init__(self) -> None:
        if not self.warn_full <= self.pause_full <= self.refuse_full:
            raise ConfigError(
                f"vault.warn_full = {self.warn_full}, vault.pause_full = {self.pause_full} and "
                f"vault.refuse_full = {self.refuse_full} must not fall in this order"
            )


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
    plan: PlanSettings = field(default_factory=PlanSettings)
    curriculum: CurriculumSettings = field(default_factory=CurriculumSettings)
    vault: VaultSettings = field(default_factory=VaultSettings)

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


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Settings:
    """Settings from, first wins: `overrides` (nested), the environment, one TOML file, the defaults.

    A variable is named `RR_SECTION__KEY` and holds a JSON value; the file is `path`, else the one named by
    `RR_SETTINGS`, else none. Raises `ConfigError` naming key, value and what is allowed; also for a variable of that
    form that names no section.
    """
    from pydantic import TypeAdapter, ValidationError

    environ = os.environ if environ is None else environ
    if path is None and environ.get(FILE_VARIABLE):
        path = Path(environ[FILE_VARIABLE])
    merged: dict[str, Any] = {}
    for layer in (_from_file(path) if path else {}, _from_environment(environ), overrides or {}):
        for section, values in layer.items():
            merged[section] = _over(merged.get(section), values)
    try:
        # Through JSON, where strict types still let a table become a section and a list a tuple.
        return TypeAdapter(Settings).validate_json(json.dumps(merged, default=str), strict=True)
    except ValidationError as error:
        raise ConfigError("; ".join(_complaint(detail) for detail in error.errors())) from error


def _over(below: Any, values: Any) -> Any:
    return {**below, **values} if isinstance(below, Mapping) and isinstance(values, Mapping) else values


def _from_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"no settings file {path}; {FILE_VARIABLE} must name an existing TOML file") from error
    except OSError as error:
        raise ConfigError(f"settings file {path} cannot be read: {error.strerror}; name a TOML file") from error
    except (ValueError, RecursionError) as error:  # ValueError: no TOML, no UTF-8, or a number longer than Python reads
        raise ConfigError(f"settings file {path} is not TOML: {error}") from error


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Values of all variables `RR_SECTION__KEY`; others belong to somebody else."""
    sections = {section.name.upper(): section.name for section in fields(Settings)}
    found: dict[str, dict[str, Any]] = {}
    for name, text in environ.items():
        if match := _VARIABLE.fullmatch(name):
            if match[1] not in sections:
                raise ConfigError(f"variable {shown(name)} names no section of the settings: {', '.join(sections)}")
            found.setdefault(sections[match[1]], {})[match[2].lower()] = _json_or_text(text)
    return found


def _json_or_text(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # no JSON, or more of it than Python reads
        return text


def _complaint(detail: "ErrorDetails") -> str:
    *path, last = (str(part) for part in detail["loc"])
    kind: Any = Settings
    for part in path:
        kind = get_type_hints(kind, include_extras=True)[part]
    key, value = ".".join([*path, last]), detail["input"]
    if last not in (names := [item.name for item in fields(kind)]):
        return f"unknown setting {key} = {shown(value)}; allowed here: {', '.join(names)}"
    allowed = _allowed(get_type_hints(kind, include_extras=True)[last])
    return f"setting {key} = {shown(value)} is refused; it must be {allowed}"


def _allowed(kind: Any) -> str:
    if is_dataclass(kind):
        return f"a table of {', '.join(item.name for item in fields(kind))}"
    value, bounds = get_args(kind)
    return str(bounds) if value is str else f"{'a whole number' if value is int else 'a number'} {bounds}"
