"""The readers of what a vault holds, as they are shown damaged inputs."""

import io
import json
import random
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from rr_engine.arena.gate import judge
from rr_engine.arena.rating import fit_ratings
from rr_engine.boards import Config
from rr_engine.errors import EngineError
from rr_engine.nn import checkpoint as networks
from rr_engine.players.stored import load as load_network
from rr_engine.records import shard
from rr_engine.records.record import check_replays
from rr_engine.selfplay.curriculum import CurriculumState
from rr_engine.selfplay.idle import choose
from rr_engine.settings import NetworkSettings, Settings
from rr_engine.stages import candidate, curriculum, dataset, evaluations, fleet, games
from rr_engine.training.state import TrainingState, load_state, save_state
from rr_engine.training.window import build_window, check_window, load_window, save_window
from rr_engine.vault import Card, Vault, merkle
from rr_engine.vault.card import decode, encode
from tests.engine import damage
from tests.engine.every_record import one_of_each

HEX = Config.parse("hex8_2p")


@dataclass(frozen=True)
class Reader:
    """Something that reads; `read` asserts that what it was given is loaded as it is, or raises an EngineError."""

    inputs: int
    make: Callable[[random.Random], Any]  # one damaged input
    read: Callable[[Any], None]


def cards() -> Reader:
    """Cards, pointers, claims and all other records: what is read is what an ordinary JSON parser reads."""
    samples = one_of_each()

    def make(rng: random.Random) -> tuple[Any, bytes]:
        record = rng.choice(samples)
        whole = encode(record)
        return record, damage.of_bytes(rng, whole) if rng.random() < 0.3 else damage.of_json(rng, json.loads(whole))

    def read(given: tuple[Any, bytes]) -> None:
        record, data = given
        found = decode(type(record), data, place=record.place)
        said = json.loads(data, object_pairs_hook=_told_once, parse_constant=_no_number)
        assert json.loads(json.dumps(asdict(found))) == {**_defaults(found), **said}
        if isinstance(found, Card):
            USES.get(found.kind, str)(found)

    return Reader(3000, make, read)


def _told_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def _no_number(name: str) -> float:
    raise AssertionError(f"{name} was read")


SETTINGS = Settings()
USES: dict[str, Callable[[Card], object]] = {  # what a stage does with the facts of a card: it may refuse, never fail
    "games": lambda card: games._totals([card], HEX, 1.0),
    "dataset": lambda card: (dataset.blocked(card, SETTINGS), dataset.unready(card.facts, SETTINGS.dataset)),
    "checkpoint": candidate.check_losses,
    "matches": lambda card: (
        evaluations.is_sound(card, HEX, SETTINGS.match),
        judge(card.facts["results"], champion_results={}, seats=2, gate=SETTINGS.gate, min_distinct=0.9),
        fit_ratings(card.facts["results"].values(), seats=2),
    ),
    "curriculum": lambda card: curriculum.check_curriculum(
        CurriculumState.from_facts(card.facts["state"]), SETTINGS.curriculum
    ),
    "plan": lambda card: (
        fleet.check_plan(fleet.plan_rows(card), SETTINGS),
        choose(fleet.plan_rows(card).values(), free_gb=9.0, needs_gb={}, usable=()),
    ),
    "pause": lambda card: f"{card.facts['paused']} {card.facts['reason']} {card.facts['by']}",
}


def _defaults(record: Any) -> dict[str, Any]:
    names = {field.name for field in fields(record)}
    return {name: value for name, value in {"facts": {}, "edition": 0}.items() if name in names}


def nodes() -> Reader:
    """Nodes of Merkle trees."""
    names = [f"{index:064x}.{suffix}" for index in range(40) for suffix in ("bin", "card.json")]
    trie = merkle.Trie().updated({name: "a" * 64 for name in names})
    samples = [merkle.encode(node) for node in trie.new.values()]

    def make(rng: random.Random) -> bytes:
        whole = rng.choice(samples)
        return damage.of_bytes(rng, whole) if rng.random() < 0.5 else damage.of_json(rng, json.loads(whole))

    def read(data: bytes) -> None:
        assert merkle.encode(merkle.decode(data)) == data

    return Reader(700, make, read)


def ratings() -> Reader:
    """Ratings: what is read is what an ordinary JSON parser reads."""
    rows = [{"name": "random", "digest": "a" * 64, "elo": 0.0, "low": -1.5, "high": 1, "games": 3}] * 2
    data = json.dumps(rows).encode()

    def make(rng: random.Random) -> bytes:
        return damage.of_bytes(rng, data) if rng.random() < 0.3 else damage.of_json(rng, rows)

    def read(damaged: bytes) -> None:
        card = SimpleNamespace(name="ratings")
        found = evaluations.ratings_in(SimpleNamespace(get=lambda *_: damaged), card)  # pyright: ignore[reportArgumentType] - a stand-in
        assert found == json.loads(damaged)

    return Reader(300, make, read)


def _kept(vault: Vault, kind: str, data: bytes, suffix: str, **fields_of_card: Any) -> tuple[Card, Path]:
    fields_of_card = {"rows": 1, "schema_version": 1} | fields_of_card
    card = vault.put(kind, HEX.key, data, suffix=suffix, producer="test", **fields_of_card)
    return card, Path(vault.url) / card.name


def _refuses(read: Callable[[], object], place: Path, damaged: bytes, whole: bytes) -> None:
    """Whether the vault notices that an artefact has other bytes."""
    if damaged == whole:
        return
    place.write_bytes(damaged)
    try:
        read()
    except EngineError:
        return
    finally:
        place.write_bytes(whole)
    raise AssertionError("the vault gave out bytes that are not those of the card")


def datasets(vault: Vault, records: list[Any]) -> Reader:
    whole = save_window(build_window(records[:1], max_samples=10**6))
    card, place = _kept(vault, "dataset", whole, ".npz")
    ends = len(whole) - 22 * 70

    def make(rng: random.Random) -> bytes:
        draw = rng.random()
        if draw < 0.3:
            return damage.of_zip(rng, whole)
        if draw < 0.5:  # of the directory
            return damage.of_lengths(rng, whole, ends, len(whole))
        return damage.of_bytes(rng, whole)

    def read(damaged: bytes) -> None:
        _refuses(lambda: load_window(vault.path(card)), place, damaged, whole)
        window = load_window(damaged)
        assert check_window(window) == []
        again = save_window(window)
        with np.load(io.BytesIO(damaged), allow_pickle=False) as said, np.load(io.BytesIO(again)) as found:
            assert all(np.array_equal(said[name], found[name], equal_nan=False) for name in found.files)

    return Reader(1300, make, read)


def shards(vault: Vault, records: list[Any]) -> Reader:
    whole = shard.encode(records)
    card, place = _kept(vault, "games", whole, ".parquet")
    table = pq.read_table(io.BytesIO(whole))
    first, last = len(whole) - 8 - int.from_bytes(whole[-8:-4], "little"), len(whole)

    def make(rng: random.Random) -> bytes:
        draw = rng.random()
        if draw < 0.3:
            return _other_table(rng, table)
        if draw < 0.6:  # of the description at the end
            return whole[:first] + damage.of_bytes(rng, whole[first:last])
        return damage.of_bytes(rng, whole)

    def read(damaged: bytes) -> None:
        _refuses(lambda: games.read_shard(vault, card), place, damaged, whole)
        for record in shard.decode(damaged):
            check_replays(record)
        again = shard.encode(shard.decode(damaged))
        assert pq.read_table(io.BytesIO(again)).equals(pq.read_table(io.BytesIO(damaged)))

    return Reader(1500, make, read)


def _other_table(rng: random.Random, table: Any) -> bytes:
    """A whole file whose table is another one: of other columns, types or values."""
    place = rng.randrange(table.num_columns)
    name, column = table.schema.names[place], table.column(place).to_pylist()
    match rng.randrange(4):
        case 0:
            table = table.drop_columns([name])
        case 1:
            table = table.set_column(place, name, pa.array([rng.choice((None, 1, 2**40))] * len(table)))
        case 2:
            table = table.append_column("surplus", pa.array([1] * len(table)))
        case _:
            row, values = rng.randrange(len(table)), (None, -1, 0, 1, 127, 2, "", "hex8_3p", "x", [], [1], [None])
            column[row] = rng.choice(values) if rng.random() < 0.5 else _other_item(rng, column[row])
            try:
                table = table.set_column(place, table.schema.field(place), pa.array(column, table.schema.types[place]))
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                table = table.slice(0, rng.randrange(len(table)))
    sink = io.BytesIO()
    pq.write_table(table, sink)
    return sink.getvalue()


def _other_item(rng: random.Random, value: Any) -> Any:
    if isinstance(value, list) and value:
        place = rng.randrange(len(value))
        return [*value[:place], _other_item(rng, value[place]), *value[place + rng.choice((0, 1, 2)) :]]
    return value + rng.choice((-1, 1, 16)) if isinstance(value, int) else rng.choice(("", "x", "\0"))


def checkpoints(vault: Vault) -> Reader:
    whole = networks.save_checkpoint(networks.untrained(HEX, NetworkSettings(channels=4, blocks=1), seed=1))
    card, place = _kept(vault, "checkpoint", whole, ".safetensors")
    end = 8 + int.from_bytes(whole[:8], "little")
    header = json.loads(whole[8:end])

    def make(rng: random.Random) -> bytes:
        draw = rng.random()
        if draw < 0.6:
            inner = {
                "__metadata__": {
                    "ringrift": damage.of_json(rng, json.loads(header["__metadata__"]["ringrift"])).decode(
                        errors="replace"
                    )
                }
            }
            said = json.dumps(header | inner).encode() if draw < 0.3 else damage.of_json(rng, header)
            return len(said).to_bytes(8, "little") + said + whole[end:]
        return damage.of_bytes(rng, whole) if draw < 0.8 else damage.of_lengths(rng, whole, 0, end)

    def read(damaged: bytes) -> None:
        _refuses(lambda: load_network(vault, card), place, damaged, whole)
        found = networks.load_checkpoint(damaged, HEX)
        assert found.config == HEX
        assert sum(weight.numel() for weight in found.network.parameters()) * 4 <= len(damaged)

    return Reader(600, make, read)


def states() -> Reader:
    network = networks.untrained(HEX, NetworkSettings(channels=2, blocks=1), seed=1).network
    whole = save_state(TrainingState("setup", dict(network.state_dict()), {"step": 3, "epochs": []}))

    def make(rng: random.Random) -> bytes:
        return damage.of_bytes(rng, whole[: len(whole) // rng.choice((1, 1, 8))])

    def read(damaged: bytes) -> None:
        assert load_state(damaged, "setup").setup == "setup"

    return Reader(200, make, read)
