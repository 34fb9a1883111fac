"""Makes games.jsonl.gz, the project's own traces: `python -m tests.data.make_traces` from the root.

Plays many biased games, notes which rare branches each one took, and keeps few that together show every branch seen.
The result pins today's engine; it was right by the traces of the deployed one when it was made.
"""

import random
from collections import Counter
from pathlib import Path
from typing import Any

from rr_engine.boards import CONFIGS, SPECS, Config, board
from rr_engine.game import Game
from rr_engine.records import trace
from tests.engine.play import play_out, random_style

TARGET = Path(__file__).with_name("games.jsonl.gz")
GAMES_SMALL, GAMES_LARGE = 2000, 8
TWICE = 2  # games in which a branch is shown, per config


def tags_of(game: Game) -> set[str]:
    """Rare branches a finished game took."""
    outcome = game.outcome()
    assert outcome is not None
    found = {f"end {outcome.end}"}
    if len(set(outcome.ranks)) < len(outcome.ranks):
        found.add("rank tie")
    if sum(turn is not None for turn in outcome.out) > 1:
        found.add("several out")
    if game.is_swapped:
        found.add("swap")
    twin = game.copy()
    later = ""
    claims: Counter[int] = Counter()
    while twin.moves_played:
        move = twin.undo()
        text = twin.move_text(move)
        found |= _tags_of_move(twin, text, later)
        if text[0] == "T" and text != "T-":
            claims[int(twin.state[0]["turn"])] += 1
        later = text
    return found | ({"several claims"} if claims and max(claims.values()) > 1 else set())


def _tags_of_move(game: Game, text: str, later: str) -> set[str]:
    """What is rare in one decision; `later` is the move after it."""
    found: set[str] = set()
    record = game.state[0]
    if text[0] == "R" and text != "R-":
        found.add("recovery " + ("window" if "L:" in text else text[text.index("@") - 1]))
        source, _, payer = text[1:].partition("@")
        if "S@" in text:
            found.add("strike pays itself" if source.split("-")[1][:-1] == payer else "strike pays elsewhere")
    if text[0] == "L":
        cells = text.strip("L+").count(".") + 1
        over = "over-long" if cells > game.config.line_length or "+" not in text else "exact"
        found.add(f"line {over} {'whole' if '+' in text else 'window'}")
        if "+" in text and later[:1] != "E":
            found.add("line payment waived")
    if text[0] in "TE" and record["rec_turn"]:
        found.add(f"{game.phase} {text[:2] if text == 'T-' else text[0]} in a recovery turn")
    if text[0] == "C" and game.phase == "chain":
        found.add("chain")
        if later[:1] == "C" and later.split("-")[-1] == text.split("-")[0][1:]:
            found.add("chain reverses")
    if text in {"P-", "R-", "T-"} or text[0] == "F":
        stacks = "with stacks" if record["stacks"][record["player"]] else "without stacks"
        found.add(f"{text if text[0] != 'F' else 'forced'} {stacks}")
    return found


def records_of(config: Config) -> list[dict[str, Any]]:
    """Games of one config in which some branch was still rare."""
    rng = random.Random(config.key)
    shown: Counter[str] = Counter()
    kept: list[dict[str, Any]] = []
    for number in range(GAMES_LARGE if config.board.cells > 100 else GAMES_SMALL):
        game = play_out(Game(config), rng, random_style(rng))
        tags = tags_of(game)
        if any(shown[tag] < TWICE for tag in tags):
            shown.update(tags)
            kept.append(trace.record_of_game(game, name=f"{config.key} {number}", pol="mix", tags=sorted(tags)))
    return kept


def fewest(records: list[dict[str, Any]], most: int, seen: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
    """Records, at most so many, that between them add every tag they can to `seen`, many in few decisions first."""
    left = {tag for record in records for tag in record["tags"]} - seen
    chosen: list[dict[str, Any]] = []
    while left and len(chosen) < most:
        best = max(records, key=lambda record: len(left & set(record["tags"])) / record["k"])
        left -= set(best["tags"])
        chosen.append(best)
    return chosen


def main() -> None:
    """One game of every config; on each small board as many more as it takes to show every branch."""
    chosen: list[dict[str, Any]] = []
    for name in SPECS:
        found = {config.key: records_of(config) for config in CONFIGS if config.board_name == name}
        first = [fewest(records, 1)[0] for records in found.values()]
        if not board(name).spec.long_lines:
            seen = frozenset(tag for record in first for tag in record["tags"])
            first += fewest([record for records in found.values() for record in records], 99, seen)
        chosen += first
    trace.write(TARGET, chosen)


if __name__ == "__main__":
    main()
