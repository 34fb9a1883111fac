"""Games for tests: played by a player that weighs its moves."""

from __future__ import annotations

import numpy as np

from rr_engine.boards import Config
from rr_engine.players import Choice, Positions, sampled_moves
from rr_engine.records.record import GameRecord
from rr_engine.selfplay.play import play_games
from rr_engine.settings import SelfplaySettings


class WeighingPlayer:
    """Prefers moves late in the list, smoothly: quick, and with a policy to learn."""

    name = "weighing"
    digest = "0" * 64

    def choose(self, positions: Positions) -> Choice:
        counts = np.diff(positions.offsets)
        place = np.arange(len(positions.moves)) - np.repeat(positions.offsets[:-1], counts)
        weight = np.exp(3 * place / np.repeat(counts, counts))
        policy = weight / np.repeat(np.add.reduceat(weight, positions.offsets[:-1]), counts)
        return Choice(sampled_moves(positions, policy), policy)


def make_records(key: str, games: int, first_seed: int = 0) -> list[GameRecord]:
    """Games of the weighing player."""
    settings = SelfplaySettings(opening_decisions=4)
    seeds = range(first_seed, first_seed + games)
    shards = play_games(Config.parse(key), WeighingPlayer(), seeds=seeds, generation=0, settings=settings)
    return [record for shard in shards for record in shard]
