"""Traces replay without a difference, any alteration is found, and damage is told in one clear error."""

import gzip
import json
import os
from pathlib import Path

import pytest

from rr_engine.boards import CONFIGS
from rr_engine.errors import TraceError
from rr_engine.game import Game
from rr_engine.records import trace

OWN = Path(__file__).parents[1] / "data" / "games.jsonl.gz"
FOLDER = os.environ.get("RR_TRACES", "")
GIVEN = sorted(Path(FOLDER).glob("*.jsonl*")) if FOLDER else []
POSITION = {
    "name": "a lone region",
    "b": "square8",
    "n": 2,
    "text": "S36:0,45:1,54:10;M1:1,8:1,9:0,18:0,63:0;C;H5,5;E0,0;T0,0;Fterr;P0;A-;R0;L-",
    "acted": False,
    "legal": ["T-", "T0-1-5feceb66"],
    "next": {
        "T-": "S36:0,45:1,54:10;M1:1,8:1,9:0,18:0,63:0;C;H5,5;E0,0;T0,0;Ffe;P0;A-;R0;L-",
        "T0-1-5feceb66": "S36:0,45:1,54:10;M63:0;C0:0,1:0,8:0,9:0,18:0;H5,5;E0,0;T5,0;Ftelim;P0;A-;R0;L-",
    },
}


@pytest.fixture(scope="module")
def records():
    return list(trace.read(OWN))


@pytest.fixture
def short(records):
    """A record that a test may spoil."""
    return json.loads(json.dumps(min(records, key=lambda record: record["k"])))


def stored(folder, *records, name="traces.jsonl.gz"):
    path = folder / name
    path.write_bytes(gzip.compress("\n".join(map(json.dumps, records)).encode()))
    return path


@pytest.mark.parametrize("path", [OWN, *GIVEN], ids=lambda path: path.name)
def test_every_decision_and_result_agrees(path):
    found = trace.verify(path)
    assert found.mismatches == ()
    assert 0 < found.games <= found.decisions


def test_a_folder_that_is_named_holds_traces():
    assert bool(GIVEN) == bool(FOLDER)


def test_our_own_traces_cover_all_configs_and_all_rare_branches(records):
    assert {f"{record['b']}_{record['n']}p" for record in records} == {config.key for config in CONFIGS}
    shown = {tag for record in records for tag in record["tags"]}
    endings = ("elim", "terr", "sole", "last3", "stale-terr", "stale-elim", "stale-mark", "stale-actor")
    assert shown >= {f"end {end}" for end in endings}
    assert shown >= {f"recovery {kind}" for kind in ("F", "S", "L", "window")}
    assert shown >= {"chain reverses", "several claims", "line over-long window", "line payment waived", "swap"}


def test_a_position_is_replayed_to_every_next_state(tmp_path):
    path = stored(tmp_path, POSITION)
    assert trace.verify(path) == trace.Verification(1, 1, ())


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"legal": ["T-"]}, "legal T- T0-1-5feceb66, trace T-"),
        ({"next": {**POSITION["next"], "T-": "S;M;C"}}, "after T- S36"),
        ({"next": {"T-": POSITION["next"]["T-"]}}, "after T0-1-5feceb66"),
        ({"text": POSITION["text"].replace("T0,0", "T1,0")}, "cannot be replayed: terr"),
    ],
)
def test_an_altered_position_is_a_mismatch(tmp_path, changes, says):
    (mismatch,) = trace.verify(stored(tmp_path, POSITION | changes)).mismatches
    assert "game a lone region" in mismatch and says in mismatch


def altered(text, index):
    """One hex digit of the hash at `index` changed."""
    at = 16 * index
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


@pytest.mark.parametrize(("key", "says"), [("sh", "state hash"), ("lh", "legal list hash")])
def test_one_altered_hash_is_found_where_it_is(tmp_path, short, key, says):
    short[key] = altered(short[key], 7)
    found = trace.verify(stored(tmp_path, short))
    assert (found.games, found.decisions) == (1, 8)
    (mismatch,) = found.mismatches
    assert mismatch.startswith(f"game {short['id']}: decision 7: {says}")


def test_other_alterations_are_found_too(short):
    wrong_count = [*short["ln"][:-1], short["ln"][-1] + 1]
    last = short["k"] - 1
    moves = short["m"].split()
    for changes, says in (
        ({"ln": wrong_count}, f"decision {last}: "),
        ({"fh": altered(short["fh"], 0)}, "final state: hash"),
        ({"res": short["res"] | {"win": 9}}, "result: win"),
        ({"res": short["res"] | {"ranks": [], "turns": -1}}, "result: ranks"),
        ({"m": " ".join(["F0", *moves[1:]])}, "decision 0: move F0 is not legal"),
        ({"b": "hex9"}, "cannot be replayed: unknown config"),
        ({"n": 5}, "cannot be replayed: unknown config"),
    ):
        assert says in trace.replay(short | changes).difference


def test_a_trace_that_stops_early_is_found(short):
    cut = {key: short[key][: 16 * 3] for key in ("sh", "lh")}
    game = Game(f"{short['b']}_{short['n']}p", pie=bool(short["swap"]))
    game.play_all(short["m"].split()[:3])
    early = short | cut | {"k": 3, "m": " ".join(short["m"].split()[:3]), "ln": short["ln"][:3]}
    early["fh"] = trace.h16(game.to_text())
    assert trace.replay(early).difference == "the game is not over where the trace ends"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"k": 3}, "k is 3 decisions, but m has"),
        ({"k": "3"}, "k must be a number"),
        ({"sh": 1}, "texts"),
        ({"ln": 4}, "ln has -1"),
        ({"res": []}, "`res` must be an object"),
        ({"res": {"win": 1}}, "`res` must be an object"),
        ({"text": 5}, "field name, acted, legal, next missing"),
    ],
)
def test_a_record_of_the_wrong_form_is_refused(tmp_path, short, changes, says):
    with pytest.raises(TraceError, match=r"traces\.jsonl\.gz line 2: .*" + says):
        list(trace.read(stored(tmp_path, POSITION, short | changes)))


@pytest.mark.parametrize("changes", [{"text": 5}, {"legal": "T-"}, {"next": []}])
def test_a_position_of_the_wrong_form_is_refused(tmp_path, changes):
    with pytest.raises(TraceError, match=r"line 1: `text` must be a text, `legal` a list and `next` an object"):
        list(trace.read(stored(tmp_path, POSITION | changes)))


@pytest.mark.parametrize("key", ["k", "m", "sh", "lh", "ln", "fh", "res", "b", "id"])
def test_a_missing_field_is_named(tmp_path, short, key):
    del short[key]
    with pytest.raises(TraceError, match=rf"line 1: field {key} missing"):
        list(trace.read(stored(tmp_path, short)))


@pytest.mark.parametrize(
    ("content", "says"),
    [
        pytest.param(b"", "holds no trace", id="empty"),
        pytest.param(b"not gzip at all", "damaged after line 0", id="no gzip"),
        pytest.param(OWN.read_bytes()[:5000], r"damaged after line \d+", id="cut"),
        pytest.param(gzip.compress(b'{"v": 1, '), "line 1: no JSON", id="cut before it was compressed"),
        pytest.param(gzip.compress(b"[" * 100_000), "line 1: no JSON", id="too deep"),
        pytest.param(gzip.compress(b"9" * 10_000), "line 1: no JSON", id="too long a number"),
        pytest.param(gzip.compress(b"\xff\xfe"), "damaged after line 0", id="no UTF-8"),
        pytest.param(gzip.compress(b"[1, 2]"), "line 1: a trace is a JSON object", id="a list"),
    ],
)
def test_a_damaged_file_is_one_clear_error_and_one_mismatch(tmp_path, content, says):
    path = tmp_path / "traces.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(TraceError, match=rf"traces\.jsonl\.gz.*{says}"):
        list(trace.read(path))
    assert len(trace.verify(path).mismatches) == 1


def test_games_before_the_damage_count(tmp_path, short):
    path = tmp_path / "plain.jsonl"
    path.write_text(f"{json.dumps(short)}\n\nbroken\n")
    found = trace.verify(path)
    assert (found.games, found.decisions) == (1, short["k"])
    assert "line 3: no JSON" in found.mismatches[0]


def test_a_missing_file_is_a_mismatch(tmp_path):
    assert trace.verify(tmp_path / "none.gz") == trace.Verification(0, 0, (f"{tmp_path}/none.gz: no such trace file",))


class TestWriting:
    def test_same_games_same_bytes(self, tmp_path, records):
        trace.write(tmp_path / "first.gz", records)
        trace.write(tmp_path / "second.gz", trace.read(tmp_path / "first.gz"))
        assert (tmp_path / "first.gz").read_bytes() == (tmp_path / "second.gz").read_bytes()

    def test_a_replayed_game_gives_its_record_again(self, short):
        game = Game(f"{short['b']}_{short['n']}p", pie=bool(short["swap"]))
        game.play_all(short["m"].split())
        extra = {key: short[key] for key in ("pol", "tags")}
        assert trace.record_of_game(game, name=short["id"], **extra) == short

    def test_only_a_finished_game_from_the_usual_start_has_a_trace(self):
        with pytest.raises(TraceError, match="game x is not over after 0 decisions"):
            trace.record_of_game(Game("hex8_2p"), name="x")
        text = "S36:0;M;C0:1;H0,0;E17,0;T0,1;Ffe;P0;A-;R0;L-"
        for game in (Game("hex8_2p", rings=1), Game.from_text("hex8_2p", text)):
            while not game.is_over:
                game.play(int(game.legal_moves()[0]))
            with pytest.raises(TraceError, match="did not begin at the usual start"):
                trace.record_of_game(game, name="x")
