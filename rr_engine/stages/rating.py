"""Matches of a candidate, and the ratings of everyone who ever played."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from rr_engine.arena import MatchResult, PlayedGame, play_match, task_of
from rr_engine.arena.gate import Ruling, is_varied, sequential_test
from rr_engine.arena.regression import Regression
from rr_engine.boards import Config
from rr_engine.errors import DataError
from rr_engine.players import Player, player
from rr_engine.players.stored import champion_of, match_player
from rr_engine.progress import UNWATCHED, Watch
from rr_engine.reading import parse_json, unpacked
from rr_engine.selfplay.curriculum import ANCHORS, is_mastered
from rr_engine.settings import MatchSettings, RegressionSettings, Settings
from rr_engine.stages.candidate import newest_candidate
from rr_engine.stages.evaluations import (
    AGAIN,
    CHAMPION,
    HEURISTIC,
    MATCHES_KIND,
    RATINGS_KIND,
    REMATCH,
    all_results,
    champion_results,
    is_between,
    is_of,
    newest_matches,
    predecessor_of,
    ratings_in,
    ratings_of,
    regression_of,
)
from rr_engine.vault import Card, Vault

SCHEMA_VERSION = 2
_GAMES_BYTES = 1 << 28  # of an evaluation's games as JSON, at most
SEARCH_ANCHOR = "search:heuristic:64"  # frozen too, but slow: met by those who may become champion


@dataclass(frozen=True)
class Rated:
    """The two artefacts of one evaluation."""

    matches_card: Card
    ratings_card: Card
    summary: list[dict[str, Any]]  # a row per match
    ratings: list[dict[str, Any]]  # a row per player, strongest first
    regression: Regression  # of the candidate against its champion


def rate_candidate(vault: Vault, config: Config, settings: Settings, *, watch: Watch = UNWATCHED) -> Rated:
    """Play the newest candidate against champion and anchors, then fit all ratings of the config anew.

    Against the champion waves of pairs are played until the sequential test of the gate has decided, or
    `gate.max_pairs`. Who fails there meets the heuristic for a rating only, not as often as the gate would need it.
    A champion meets its predecessor once more: the match that crowned it was one of many. Anchors meet each other once:
    everyone stands on them, and a candidate that never loses to one says little of it.
    """
    vault.demand_room()
    card = newest_candidate(vault, config)
    candidate = match_player(vault, card, settings)
    champion = champion_of(vault, config)
    evening = _Evening(config, settings.match, watch)
    may_be_crowned = True
    if champion is not None and champion.card.sha256 != card.sha256:
        opponent = match_player(vault, champion.card, settings)
        may_be_crowned = evening.duel(candidate, opponent, settings) == Ruling.BETTER
        if may_be_crowned and not _is_known(vault, config, champion.card.sha256, opponent):
            evening.play(REMATCH, opponent, player(HEURISTIC, config), pairs=settings.match.pairs)
        before = predecessor_of(vault, config)
        if before is not None and not _has_met(vault, config, opponent, before):
            again = match_player(vault, before, settings)
            evening.play(AGAIN, opponent, again, pairs=-(-settings.regression.games // 2))
    for name in ANCHORS:
        pairs = _pairs(vault, config, settings, anchor=name, may_be_crowned=may_be_crowned)
        evening.play(name, candidate, player(name, config), pairs=pairs)
    past = all_results(vault, config)
    for weaker, stronger in pairwise(ANCHORS):
        a, b = player(stronger, config), player(weaker, config)
        if not any(is_between(result, a, b) for result in past):
            evening.play(f"{stronger}-{weaker}", a, b, pairs=settings.match.anchor_pairs)
    if may_be_crowned and settings.match.search_anchor_pairs:
        anchor = player(SEARCH_ANCHOR, config)
        evening.play(SEARCH_ANCHOR, candidate, anchor, pairs=settings.match.search_anchor_pairs)
    matches_card = _keep_matches(vault, config, card, champion.card.sha256 if champion else None, evening)
    ratings = ratings_of(vault, config)
    ratings_card = vault.put(
        RATINGS_KIND,
        config.key,
        json.dumps(ratings, sort_keys=True).encode(),
        suffix=".json",
        producer="elo",
        rows=len(ratings),
        schema_version=SCHEMA_VERSION,
        parents=(matches_card.sha256,),
        facts={"candidate": card.sha256},
    )
    for kind in (MATCHES_KIND, RATINGS_KIND):
        vault.index(kind, config.key)
    regression = regression_of(vault, config, card.sha256, settings.regression)
    assert regression is not None  # it has just been evaluated
    return Rated(matches_card, ratings_card, evening.summary(), ratings, regression)


def _pairs(vault: Vault, config: Config, settings: Settings, *, anchor: str, may_be_crowned: bool) -> int:
    """How often a candidate meets an anchor: one that was mastered before only keeps ratings connected."""
    if anchor == HEURISTIC:
        return settings.match.pairs if may_be_crowned else settings.match.anchor_pairs
    past = [card.facts["results"][anchor] for card in vault.cards(MATCHES_KIND, config.key)]
    mastered = any(is_mastered(result["wins"], result["games"], config.players, settings.curriculum) for result in past)
    return settings.match.mastered_pairs if mastered else settings.match.anchor_pairs


@dataclass
class _Evening:
    """The matches of one evaluation, as they are played."""

    config: Config
    settings: MatchSettings
    watch: Watch
    results: dict[str, MatchResult] = field(default_factory=dict[str, MatchResult])
    seconds: dict[str, float] = field(default_factory=dict[str, float])

    def play(self, name: str, a: Player, b: Player, *, pairs: int) -> None:
        """A match of two games a pair, with more seats in groups of as many games as seats."""
        began = time.perf_counter()
        self._keep(name, self._match(a, b, games=2 * pairs), began)

    def duel(self, a: Player, b: Player, settings: Settings) -> Ruling:
        """Groups of games against the champion, in waves until they decide."""
        began = time.perf_counter()
        wave = settings.gate.wave_groups(self.config.players) * self.config.players
        result = self._match(a, b, games=wave)
        while (ruling := sequential_test(result.groups, seats=result.seats, settings=settings.gate)) == Ruling.OPEN:
            self.watch.say(f"against the champion {result.wins} of {result.games} won, undecided")
            result = result.extended(self._match(a, b, games=wave, first_group=sum(result.groups)))
        self._keep(CHAMPION, result, began)
        return ruling

    def _match(self, a: Player, b: Player, *, games: int, first_group: int = 0) -> MatchResult:
        count = self.watch(task_of(f"{a.name} against {b.name}", self.config, games))
        return play_match(
            a,
            b,
            self.config,
            games=games,
            opening_decisions=self.settings.opening_decisions,
            seed=self.settings.seed,
            temperature=self.settings.temperature,
            first_group=first_group,
            progress=count.add,
        )

    def _keep(self, name: str, result: MatchResult, began: float) -> None:
        self.results[name] = result
        self.seconds[name] = round(time.perf_counter() - began, 3)
        told = f"{result.wins} of {result.games} won, {result.distinct} distinct, {self.seconds[name]:.1f} s"
        self.watch.say(f"{result.a.name} against {result.b.name}: {told}")

    def summary(self) -> list[dict[str, Any]]:
        """A table row per match."""
        return [
            {
                "opponent": name,
                "wins": result.wins,
                "games": result.games,
                "distinct": result.distinct,
                "score": round(result.score, 4),
                "wilson_low": round(result.interval.low, 4),
                "wilson_high": round(result.interval.high, 4),
                "seconds": self.seconds[name],
            }
            for name, result in self.results.items()
        ]


def _is_known(vault: Vault, config: Config, sha256: str, champion: Player) -> bool:
    """Whether the champion, playing as it does now, has met the heuristic as it is now."""
    known = (champion_results(vault, config, sha256) or {}).get(HEURISTIC)
    return known is not None and is_between(known, champion, player(HEURISTIC, config))


def _has_met(vault: Vault, config: Config, champion: Player, before: Card) -> bool:
    """Whether the champion, playing as it does now, has met its predecessor since it was crowned."""
    met = [result for card in vault.cards(MATCHES_KIND, config.key) if (result := card.facts["results"].get(AGAIN))]
    return any(result["a"]["digest"] == champion.digest and is_of(result["b"], before.sha256) for result in met)


def _keep_matches(vault: Vault, config: Config, candidate: Card, champion: str | None, evening: _Evening) -> Card:
    results = evening.results
    games = {name: [_game_facts(game) for game in result.played] for name, result in results.items()}
    return vault.put(
        MATCHES_KIND,
        config.key,
        gzip.compress(json.dumps(games).encode(), mtime=0),
        suffix=".json.gz",
        producer="elo",
        rows=sum(result.games for result in results.values()),
        schema_version=SCHEMA_VERSION,
        parents=(candidate.sha256,) if champion in (None, candidate.sha256) else (candidate.sha256, champion),
        facts={
            "candidate": candidate.sha256,
            "champion": champion,
            "results": {name: result.to_json() for name, result in results.items()},
            "seconds": evening.seconds,
        },
    )


def _game_facts(game: PlayedGame) -> dict[str, Any]:
    """A played game as JSON."""
    return {"group": game.group, "seat": game.seat, "winner": game.winner, "won": game.won, "moves": list(game.moves)}


def check_rating(vault: Vault, config: Config, settings: MatchSettings) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems) of the newest evaluation: its artefacts are whole and its games differ from each other."""
    card = newest_matches(vault, config)
    ratings = vault.cards(RATINGS_KIND, config.key)
    problems: list[str] = []
    if not ratings or card.sha256 not in ratings[-1].parents:
        problems.append("the newest ratings were not made from the newest matches")
    else:
        ratings_in(vault, ratings[-1])
    games = games_in(vault, card)
    for name, result in card.facts["results"].items():
        played = [game.moves for game in games.get(name, [])]
        if len(played) != result["games"] or len(set(played)) != result["distinct"]:
            problems.append(f"{name}: the stored games are not those of the result")
        if not is_varied(result, seats=config.players, min_distinct=settings.min_distinct):
            problems.append(f"{name}: only {result['distinct']} of {result['games']} games differ from each other")
    if missing := [name for name in ANCHORS if name not in games]:
        problems.append(f"no match against {', '.join(missing)}")
    return {"candidate": card.facts["candidate"], "games": card.rows}, problems


def games_in(vault: Vault, card: Card) -> dict[str, list[PlayedGame]]:
    """The games of an evaluation, by match; raises DataError where its artefact holds something else."""
    try:
        matches = parse_json(unpacked(vault.get(card), _GAMES_BYTES))
        return {name: [_played_game(game) for game in played] for name, played in matches.items()}
    except (DataError, TypeError, ValueError, KeyError, AttributeError) as error:
        raise DataError(f"{card.name} holds no games of matches: {error}") from error


def _played_game(facts: Mapping[str, Any]) -> PlayedGame:
    """What `_game_facts` wrote."""
    winner = facts["winner"]
    return PlayedGame(
        group=int(facts["group"]),
        seat=int(facts["seat"]),
        winner=None if winner is None else int(winner),
        won=bool(facts["won"]),
        moves=tuple(map(int, facts["moves"])),
    )


def check_regression(vault: Vault, config: Config, settings: RegressionSettings) -> tuple[dict[str, Any], list[str]]:
    """(facts, problems): how far the newest candidate is behind its champion."""
    candidate = newest_matches(vault, config).facts["candidate"]
    regression = regression_of(vault, config, candidate, settings)
    assert regression is not None  # it has just been evaluated
    facts = {"candidate": candidate, "level": regression.level.name.lower(), "reason": regression.reason}
    return facts, [regression.reason] if regression.level else []
