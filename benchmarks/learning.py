"""Learning from nothing: the real assets in one process, turn after turn, then a match against the frozen heuristic.

    python benchmarks/learning.py --config hex8_2p --minutes 60 --out docs/data/learning-hex8_2p.jsonl

One JSON line per generation (turn of the loop) as it ends, and a last one with the result. The vault and the Dagster
instance are its own; `--vault` keeps them and goes on from what is there.
"""

import argparse
import json
import resource
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg

from rr_assets import code_location
from rr_assets.resources import AlertResource, SettingsResource, VaultResource
from rr_engine.arena import MatchResult, play_match
from rr_engine.boards import CONFIGS, Config
from rr_engine.players import player
from rr_engine.players.stored import champion_of, match_player
from rr_engine.settings import Settings, load
from rr_engine.stages import candidate, dataset, evaluations, games
from rr_engine.vault import Vault

STAGES = ("games_db", "npz_dataset", "checkpoint", "elo", "champion", "curriculum")
FINAL_GAMES = 440  # some openings come twice: at least 400 differ
FINAL_SIMULATIONS = 32
FINAL_SEED = 1_000_003  # openings that no evaluation of a candidate has seen


class Loop:
    """The graph, one asset at a time, each with its checks."""

    def __init__(self, url: str, config: Config, settings: Settings) -> None:
        self.config, self.settings = config, settings
        self.vault = Vault.open(url)
        self._instance = dg.DagsterInstance.ephemeral()
        overrides = {"selfplay": {"seed": settings.selfplay.seed}}
        self._resources = {
            "vault": VaultResource(url=url),
            "settings": SettingsResource(overrides=overrides),
            "alert": AlertResource(),
        }
        definitions = code_location()
        self._assets = {asset.key.to_user_string(): asset for asset in definitions.assets or ()}
        self._checks = list(definitions.asset_checks or ())

    def materialize(self, name: str) -> float:
        """Materialise one asset and run its checks; returns seconds. A failed check or stage is an error."""
        began = time.perf_counter()
        asset = self._assets[name]
        checks = [check for check in self._checks if check.check_key.asset_key == asset.key]
        others = [other for other in self._assets.values() if other is not asset]
        dg.materialize(
            [asset, *checks, *others],
            selection=dg.AssetSelection.assets(name),
            partition_key=self.config.key if name in STAGES else None,
            instance=self._instance,
            resources=self._resources,
            run_config={"loggers": {"console": {"config": {"log_level": "WARNING"}}}},
        )
        return time.perf_counter() - began

    def generation(self, turn: int, seconds: Mapping[str, float]) -> dict[str, Any]:
        """What one turn brought."""
        trained = candidate.newest_candidate(self.vault, self.config)
        matches = evaluations.newest_matches(self.vault, self.config)
        champion = champion_of(self.vault, self.config)
        standing = evaluations.standing_of(self.vault, self.config, trained.sha256)
        assert champion is not None and standing is not None
        batch = games.newest_batch(self.vault, self.config)
        against = sum(card.facts["games_against_opponent"] for card in batch)
        won = sum(card.facts["wins_against_it"] for card in batch)
        best = trained.facts["epochs"][trained.facts["best_epoch"]]
        results = matches.facts["results"]
        return {
            "turn": turn,
            "generation": champion.pointer.number,
            "promoted": champion.card.sha256 == trained.sha256,
            "reason": self._ruling(),
            "games": sum(card.rows for card in self.vault.cards(games.KIND, self.config.key)),
            "new_games_by": batch[0].facts["player"],
            "new_games_against_opponent": against,
            "new_games_won_against_it": won,
            "new_decisions": sum(card.facts["decisions"] for card in batch),
            "samples": dataset.newest_dataset(self.vault, self.config).rows,
            **{key: round(best[key], 4) for key in ("validation_policy", "validation_value", "policy_accuracy")},
            **{
                f"against_{name}": {key: round(result[key], 4) for key in ("score", "wilson_low", "wilson_high")}
                | {"games": result["games"]}
                for name, result in results.items()
                if evaluations.is_of(result["a"], trained.sha256)
            },
            **{key: standing[key] for key in ("elo", "low", "high")},
            "seconds": {name: round(value, 1) for name, value in seconds.items()},
            "evaluation_share": round(seconds["elo"] / sum(seconds.values()), 3),
            "memory_gb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 2),
        }

    def _ruling(self) -> str:
        """Why the newest candidate was promoted or not."""
        event = self._instance.get_latest_materialization_event(dg.AssetKey("champion"))
        assert event is not None and event.asset_materialization is not None
        return str(event.asset_materialization.metadata["reason"].value)


def rated_now(vault: Vault, config: Config) -> list[dict[str, float]]:
    """Every candidate in turn, by one fit over all matches of the run."""
    rows = evaluations.ratings_of(vault, config)
    found = [
        next(row for row in rows if evaluations.is_of(row, card.sha256))
        for card in vault.cards(candidate.KIND, config.key)
    ]
    return [{key: round(row[key], 1) for key in ("elo", "low", "high")} for row in found]


def final_match(loop: Loop, opponent: str, games_wanted: int) -> MatchResult:
    """The champion against an anchor, with openings of its own."""
    champion = champion_of(loop.vault, loop.config)
    assert champion is not None
    return play_match(
        match_player(loop.vault, champion.card, loop.settings, simulations=FINAL_SIMULATIONS),
        player(opponent, loop.config),
        loop.config,
        games=games_wanted,
        opening_decisions=loop.settings.match.opening_decisions,
        seed=FINAL_SEED,
    )


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", required=True)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--vault", help="default: a temporary folder")
    parser.add_argument("--out", type=Path, help="also write the lines to this file")
    parser.add_argument("--warm-vault", help="bring the champions of other configs along, to start from")
    parser.add_argument(
        "--search-games", type=int, default=0, help="besides, so many games against search:heuristic:64"
    )
    arguments = parser.parse_args()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        url = arguments.vault or folder
        loop = Loop(url, Config.parse(arguments.config), load())
        if arguments.warm_vault:
            bring_champions(Vault.open(arguments.warm_vault), loop)
        run(loop, began, arguments)


def bring_champions(source: Vault, loop: Loop) -> None:
    """Copy every other config's champion from another vault."""
    for config in CONFIGS:
        found = champion_of(source, config)
        if found is None or config == loop.config:
            continue
        card = found.card
        kept = loop.vault.put(
            card.kind,
            card.config,
            source.get(card),
            suffix=card.suffix,
            producer=card.producer,
            rows=card.rows,
            schema_version=card.schema_version,
            parents=card.parents,
            facts=card.facts,
        )
        loop.vault.write_pointer(kept, facts=found.pointer.facts)


def run(loop: Loop, began: float, arguments: argparse.Namespace) -> None:
    """Turn the loop while another turn fits, then measure."""
    lines: list[dict[str, Any]] = []

    def tell(line: dict[str, Any]) -> None:
        line = {"config": loop.config.key, "minutes": round((time.perf_counter() - began) / 60, 2), **line}
        lines.append(line)
        print(json.dumps(line), flush=True)
        if arguments.out:
            arguments.out.parent.mkdir(parents=True, exist_ok=True)
            arguments.out.write_text("".join(json.dumps(line) + "\n" for line in lines))

    longest = 0.0
    turn = 0
    while turn == 0 or (time.perf_counter() - began) + longest < 60 * arguments.minutes:
        seconds = {name: loop.materialize(name) for name in STAGES}
        seconds["selfplay_plan"] = loop.materialize("selfplay_plan")
        if turn:
            longest = max(longest, sum(seconds.values()))
        tell(loop.generation(turn, seconds))
        turn += 1
    minutes = round((time.perf_counter() - began) / 60, 2)
    search = final_match(loop, "search:heuristic:64", arguments.search_games) if arguments.search_games else None
    final = final_match(loop, "heuristic", FINAL_GAMES)
    champion = champion_of(loop.vault, loop.config)
    assert champion is not None
    tell(
        {
            "minutes": minutes,
            "win_rate": final.score,
            "wilson_low": final.interval.low,
            "games": final.games,
            "distinct": final.distinct,
            "wins_by_seat": final.wins_by_seat,
            "simulations": FINAL_SIMULATIONS,
            "games_generated": sum(card.rows for card in loop.vault.cards(games.KIND, loop.config.key)),
            "champion_hash": champion.card.sha256,
            "generation": champion.pointer.number,
            "elo_by_turn": rated_now(loop.vault, loop.config),
            "against_search": None
            if search is None
            else {"score": search.score, "wilson_low": search.interval.low, "games": search.games},
        }
    )


if __name__ == "__main__":
    sys.exit(main())
