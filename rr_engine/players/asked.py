"""Games put before a player, one by one or many at once, wherever they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rr_engine.errors import PlayerError
from rr_engine.game import Game
from rr_engine.players.positions import Float64Array, Positions
from rr_engine.players.registry import Player


@dataclass(frozen=True)
class Thought:
    """What a player made of a position."""

    move: int
    policy: Float64Array | None  # [legal moves], of players that weigh them all
    chances: Float64Array | None  # [seats] to win, None where nobody looked
    move_values: Float64Array  # [legal moves] the mover's chance to win after each, NaN where nobody looked


def think(player: Player, games: Sequence[Game], seeds: Sequence[int]) -> list[Thought]:
    """What a player makes of games of one config, none over; the same position and seed are answered the same.

    Raises PlayerError where it forfeits one of them.
    """
    moves = [game.legal_moves() for game in games]
    positions = Positions(
        config=games[0].config,
        states=np.concatenate([game.state for game in games]),
        moves=np.concatenate(moves),
        offsets=np.concatenate(([0], np.cumsum([len(legal) for legal in moves]))),
        seeds=np.array([_bits(game, seed) for game, seed in zip(games, seeds, strict=True)], np.uint64),
        temperature=np.zeros(len(games)),
        histories=tuple(list(game.moves_played) for game in games),
    )
    choice = player.choose(positions)
    for reason in choice.forfeits.values():
        raise PlayerError(f"{player.name} has forfeited: {reason}")
    cuts = positions.offsets[1:-1]
    policies = None if choice.policy is None else np.split(choice.policy, cuts)
    unknown = np.full(len(positions.moves), np.nan)
    values = np.split(unknown if choice.move_values is None else choice.move_values, cuts)
    return [
        Thought(
            move=int(choice.moves[index]),
            policy=None if policies is None else policies[index],
            chances=None if choice.values is None or np.isnan(choice.values[index]).any() else choice.values[index],
            move_values=values[index],
        )
        for index in range(len(games))
    ]


def _bits(game: Game, seed: int) -> int:
    """Random bits, never 0."""
    digest = hashlib.sha256(game.state.tobytes() + str(seed).encode()).digest()
    return int.from_bytes(digest[:8], "little") or 1
