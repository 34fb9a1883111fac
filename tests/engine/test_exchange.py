"""Games leave the vault as traces and come in as traces; what does not replay does not count, nothing is half done."""

import json
import random
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from rr_engine import cli
from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import DataError, TraceError
from rr_engine.progress import Count
from rr_engine.records import shard, trace
from rr_engine.render.replay import replay_page
from rr_engine.settings import DatasetSettings, SelfplaySettings, Settings
from rr_engine.stages import dataset, fleet, games, report
from rr_engine.stages.exchange import Imported, export_games, import_games
from rr_engine.stages.highlights import find_game
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.engine.test_traces import POSITION, altered
from tests.engine.vaults import Death, DiedError, mortal, names
from tests.engine.vaults import put as put_anything

OWN = Path(__file__).parents[1] / "data" / "games.jsonl.gz"
HEX = Config.parse("hex8_2p")
ELSEWHERE = {"seed", "generation", "shard"}  # what an exported game says of where it is from
FEW = Settings(selfplay=SelfplaySettings(games=12, games_at_once=12, shard_games=5, opening_decisions=4))


@pytest.fixture(scope="module")
def played(tmp_path_factory):
    """A vault with self-play, which tests only read."""
    vault = Vault.open(str(tmp_path_factory.mktemp("vault")))
    games.make_games(vault, HEX, FEW, batch="test")
    return vault


@pytest.fixture(scope="module")
def traces(played):
    """Its games as traces."""
    return list(export_games(played, HEX))


def written(folder, records, name="games.jsonl.gz"):
    trace.write(folder / name, records)
    return folder / name


def stored(vault, config=HEX):
    return [
        record for card in vault.cards(games.KIND, config.key) for record in shard.decode(vault.path(card))
    ]  # fmt: skip


def sound(vault, config=HEX):
    """Whether all that is asked of games holds for every claim."""
    claims = vault.claims(config.key)
    cards = vault.cards(games.KIND, config.key)
    assert games.check_replays_of(vault, cards)[1] == []
    for claim in claims:
        assert games.check_distinct(vault, claim, SelfplaySettings())[1] == []
        assert games.shards_of(vault, claim) and games.quality_of(games.shards_of(vault, claim)).score > 0
    seeds = [record.seed for record in stored(vault, config)]
    assert len(set(seeds)) == len(seeds) == sum(claim.stop - claim.start for claim in claims)
    return True


def heard_by(told):
    """Hears of all but queries, which tell more where they are slow."""

    def hear(count):
        if count.task.name != "query":
            told.append(f"{count.task.name} {count.task.unit} {count.done}/{count.task.total}")

    return lambda task: Count(task, hear)


def opened(shards):
    """What is heard of shards that are opened."""
    return [f" shards {number}/{shards}" for number in range(1, shards + 1)]


class TestExport:
    def test_every_game_is_a_trace_with_where_it_is_from(self, played, traces, tmp_path):
        told = []
        path = written(tmp_path, export_games(played, HEX, watch=heard_by(told)))
        assert trace.verify(path) == trace.Verification(12, sum(record["k"] for record in traces), ())
        assert told == [*opened(3), *(f" games {done}/12" for done in range(1, 13))]
        records = stored(played)
        assert [found["id"] for found in traces] == [record.digest for record in records]
        assert [found["seed"] for found in traces] == [record.seed for record in records]
        assert {tuple(found["players"]) for found in traces} == {("heuristic", "heuristic")}
        assert {found["shard"] for found in traces} == {card.sha256 for card in played.cards(games.KIND, HEX.key)}
        assert {found["generation"] for found in traces} == {-1}

    def test_a_condition_and_a_limit_choose(self, played, traces):
        won = [found["id"] for found in traces if found["res"]["win"] == 1]
        assert [found["id"] for found in export_games(played, HEX, where="winner = 1 -- the second")] == won
        assert [found["id"] for found in export_games(played, HEX, where="winner = 1", limit=2)] == won[:2]

    def test_a_game_stored_twice_leaves_once(self, local, hex_records):
        for records in (hex_records[:3], [replace(record, seed=record.seed + 50) for record in hex_records[1:4]]):
            put_games(local, records)
        assert [found["id"] for found in export_games(local, HEX)] == [record.digest for record in hex_records[:4]]

    @pytest.mark.parametrize(
        ("where", "says"),
        [
            ("turns > 1000", "no game of hex8_2p is one where 'turns > 1000'"),
            ("nonsense = 1", "the query failed: .*nonsense"),
            ("true); copy (select 1) to 'x.csv'; select (1", "one SELECT"),
        ],
    )
    def test_a_condition_that_chooses_nothing_is_told(self, played, where, says):
        with pytest.raises(DataError, match=says):
            list(export_games(played, HEX, where=where))

    def test_no_games_are_told(self, played):
        with pytest.raises(DataError, match="no games of hex8_3p in "):
            list(export_games(played, Config.parse("hex8_3p")))

    def test_a_game_that_does_not_replay_leaves_the_file_as_it_was(self, local, hex_records, tmp_path):
        wrong = replace(hex_records[1], outcome=replace(hex_records[1].outcome, turns=1))
        put_games(local, [hex_records[0], wrong])
        (tmp_path / "games.jsonl").write_text("before")
        with pytest.raises(DataError, match="replay gives"):
            trace.write(tmp_path / "games.jsonl", export_games(local, HEX))
        assert [path.read_text() for path in tmp_path.glob("*games*")] == ["before"]


def put_games(vault, records):
    made = {"claim": -1, "player": "weighing", "planned_share": 1.0, "usual_decisions": 70.0}
    return games.keep(vault, HEX, records, made)


class TestImport:
    def test_what_was_exported_comes_in_and_leaves_again_the_same(self, vault, played, traces, tmp_path):
        told = []
        path = written(tmp_path, traces)
        done = import_games(vault, [path], FEW, watch=heard_by(told))
        assert done == [Imported("hex8_2p", read=12, imported=12, known=0, repeated=0)]
        assert told == [
            *(f" games {number}/12" for number in range(1, 13)),
            *(f"hex8_2p, kept games {number}/12" for number in (5, 10, 12)),
        ]
        told.clear()
        import_games(vault, [path], FEW, watch=heard_by(told))
        assert told[12:] == opened(3)
        for before, after in zip(stored(played), stored(vault), strict=True):
            np.testing.assert_array_equal(after.moves, before.moves)
            assert (after.outcome, after.swapped, after.players) == (before.outcome, before.swapped, before.players)
            assert not after.recorded.any() and np.isnan(after.values).all() and not after.policy.any()
        again = list(export_games(vault, HEX))
        assert [bare(found) for found in again] == [bare(found) for found in traces]
        assert sound(vault)

    def test_a_game_counts_once(self, local, traces, tmp_path):
        first = written(tmp_path, [*traces[:5], traces[2]], "first.jsonl")
        both = written(tmp_path, [*traces[3:8], traces[7]], "both.jsonl.gz")
        assert import_games(local, [first], FEW) == [Imported("hex8_2p", 6, 5, 0, 1)]
        listed = names(local)
        assert import_games(local, [first], FEW) == [Imported("hex8_2p", 6, 0, 5, 1)]
        assert names(local) == listed
        assert import_games(local, [both, first], FEW) == [Imported("hex8_2p", 12, 3, 5, 4)]
        assert [record.digest for record in stored(local)] == [found["id"] for found in traces[:8]]
        assert sound(local)

    def test_a_game_that_was_played_here_is_known(self, local, hex_records, traces, tmp_path):
        put_games(local, hex_records[:4])
        path = written(tmp_path, [*export_games(local, HEX), traces[0]])
        assert import_games(local, [path], FEW) == [Imported("hex8_2p", 5, 1, 4, 0)]

    def test_our_own_traces_come_in_for_all_configs(self, local):
        done = import_games(local, [OWN], Settings())
        assert [row.config for row in done] == sorted(config.key for config in CONFIGS)
        assert sum(row.imported for row in done) == len(list(trace.read(OWN)))
        for config in CONFIGS:
            assert sound(local, config)
            assert {name for record in stored(local, config) for name in record.players} == {"imported"}
        name = f"{local.cards(games.KIND, HEX.key)[0].sha256[:12]}:{stored(local)[0].digest}"
        assert "imported - imported" in replay_page(find_game(local, HEX, name))

    def test_only_the_wanted_configs_come_in(self, local, traces, tmp_path):
        wanted = [HEX, Config.parse("square8_4p")]
        done = import_games(local, [OWN, written(tmp_path, traces)], FEW, configs=wanted)
        assert [row.config for row in done] == ["hex8_2p", "square8_4p"]
        with pytest.raises(TraceError, match="nothing was imported: no game of hex8_3p in .*games"):
            import_games(local, [tmp_path / "games.jsonl.gz"], FEW, configs=[Config.parse("hex8_3p")])

    def test_players_are_those_the_trace_names(self, local, traces, tmp_path):
        import_games(local, [written(tmp_path, [traces[0] | {"players": ["Ada", "Bo"]}])], FEW)
        [record] = stored(local)
        assert (record.players, record.player_hashes) == (("Ada", "Bo"), ("", ""))
        winner = record.players[record.agent_at(record.outcome.winner)]
        assert games.open_games(local, local.cards(games.KIND, HEX.key)).sql("select won_by from games").fetchall() == [
            (winner,)
        ]


def bare(found):
    return {key: value for key, value in found.items() if key not in ELSEWHERE}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: {"sh": altered(record["sh"], 7)}, "decision 7: state hash"),
        (lambda record: {"lh": altered(record["lh"], 3)}, "decision 3: legal list hash"),
        (lambda record: {"fh": altered(record["fh"], 0)}, "final state: hash"),
        (lambda record: {"res": record["res"] | {"win": 1 - record["res"]["win"]}}, "result: win"),
        (lambda record: {"m": "M0-1" + record["m"][record["m"].index(" ") :]}, "decision 0: move M0-1 is not legal"),
        (lambda _: {"b": "hex9"}, "unknown config 'hex9_2p'"),
        (lambda _: {"n": 3, "swap": 1}, "cannot be replayed: the pie rule is for two players"),
        (lambda _: {"players": ["x"]}, "`players` must be 2 texts of 1 to 80 characters"),
        (lambda _: {"players": ["x", ""]}, "`players` must be 2 texts"),
        (lambda _: {"players": ["x", "y" * 81]}, "`players` must be 2 texts"),
        (lambda _: {"players": "xy"}, "`players` must be 2 texts"),
        (lambda _: {"players": [1, 2]}, "`players` must be 2 texts"),
        (lambda _: POSITION, "a position, but only whole games from the usual start can be imported"),
        (lambda _: {"k": 3}, "k is 3 decisions, but m has"),
    ],
)
def test_one_wrong_game_and_nothing_comes_in(local, traces, tmp_path, change, says):
    wrong = traces[1] | change(traces[1])
    good, bad = written(tmp_path, traces[:1], "good.jsonl"), written(tmp_path, [traces[0], wrong, traces[2]])
    with pytest.raises(TraceError, match=rf"games\.jsonl\.gz(: nothing was imported:)? line 2[:,] .*{says}"):
        import_games(local, [good, bad], FEW)
    assert names(local) == []


def test_the_first_wrong_games_are_named(local, traces, tmp_path):
    wrong = [found | {"fh": "0" * 16} for found in traces]
    with pytest.raises(TraceError) as caught:
        import_games(local, [written(tmp_path, wrong)], FEW)
    assert str(caught.value).count("final state: hash") == 5
    assert len(str(caught.value)) < 3000


def test_an_interrupted_import_leaves_whole_shards_and_goes_on(tmp_path, traces, unflushed):
    path = written(tmp_path, traces[:5])
    settings = Settings(selfplay=SelfplaySettings(shard_games=2))
    rng = random.Random(7)
    at = came = 0
    while True:
        at, after = at + rng.randint(1, 4), rng.random() < 0.5
        vault, death = Vault.open(str(tmp_path / f"{at}")), Death(at, after=after)
        try:
            import_games(mortal(vault, death), [path], settings)
        except DiedError:
            came += 1
        else:
            break
        [done] = import_games(vault, [path], settings)
        assert (done.imported + done.known, done.repeated) == (5, 0)
        assert sorted(record.digest for record in stored(vault)) == sorted(found["id"] for found in traces[:5])
        assert sound(vault)
        assert report.metrics_of(vault, HEX, datetime.now(UTC), pages=())["lost_games"] == 0
    assert came > 10


@pytest.mark.parametrize(("step", "shard_number"), [(step, number) for step in ("claim", "put") for number in range(3)])
def test_two_imports_of_a_file_at_once_count_its_games_once(
    local, traces, tmp_path, monkeypatch, unflushed, step, shard_number
):
    path, settings = written(tmp_path, traces[:5]), Settings(selfplay=SelfplaySettings(shard_games=2))
    do, done = getattr(local, step), []

    def after_another_import(*words, **facts):
        if len(done) == shard_number:
            import_games(Vault.open(local.url), [path], settings)
        done.append(step)
        return do(*words, **facts)

    monkeypatch.setattr(local, step, after_another_import)
    import_games(local, [path], settings)
    assert len(done) > shard_number
    assert sorted(record.digest for record in stored(local)) == sorted(found["id"] for found in traces[:5])
    assert len({record.seed for record in stored(local)}) == 5


class TestBesideSelfplay:
    """The loop does not notice an import, but that its next dataset has more games."""

    @pytest.fixture
    def both(self, local, tmp_path):
        """A vault with self-play, a dataset of it, and then imported games; and its numbers before these came."""
        games.make_games(local, HEX, FEW, batch="first")
        dataset.make_dataset(local, HEX, FEW)
        before = report.metrics_of(local, HEX, datetime.now(UTC), pages=()), self.due(local)
        weighed = Vault.open(str(tmp_path / "other"))
        put_games(weighed, make_records("hex8_2p", 7, first_seed=500))
        import_games(local, [written(tmp_path, export_games(weighed, HEX))], FEW)
        return local, before

    def due(self, vault):
        return fleet.facts_of(vault, HEX, FEW, datetime.now(UTC), {}).due

    def test_games_made_later_have_seeds_of_their_own(self, both):
        vault, _ = both
        made = games.make_games(vault, HEX, FEW, batch="second")
        assert made.facts["produced_minus_committed"] == 0
        assert [(claim.start, claim.stop) for claim in vault.claims(HEX.key)] == [(0, 12), (12, 17), (17, 19), (19, 31)]
        assert sound(vault)
        assert games.claim_to_judge(vault, HEX, "second").number == 3
        mean = np.mean([record.decisions for record in stored(vault)])
        assert games.usual_decisions(vault, HEX) == pytest.approx(mean)

    def test_a_check_without_a_run_of_its_own_may_judge_an_import(self, both):
        vault, _ = both
        claim = games.claim_to_judge(vault, HEX)
        facts, _ = games.check_distinct(vault, claim, FEW.selfplay)
        assert facts == {"claim": 2, "produced": 2, "stored": 2, "distinct": 2}

    def test_the_plan_goes_on_as_if_nothing_had_come(self, both):
        vault, (_, due) = both
        assert self.due(vault) == due == vault.cards(dataset.KIND, HEX.key)[-1].sha256
        dataset.make_dataset(vault, HEX, FEW)
        assert self.due(vault) == vault.cards(dataset.KIND, HEX.key)[-1].sha256

    def test_imported_games_alone_call_for_the_first_of_its_own(self, local, traces, tmp_path):
        import_games(local, [written(tmp_path, traces)], FEW)
        assert self.due(local) == "start"

    def test_numbers_are_those_of_self_play_but_the_number_of_games(self, both):
        vault, (before, _) = both
        after = report.metrics_of(vault, HEX, datetime.now(UTC), pages=())
        assert (before["games"], after["games"]) == (12, 19)
        same = ("games_per_hour", "lost_games", "duplicate_games", "turn_minutes")
        assert [after[name] for name in same] == [before[name] for name in same]
        assert after["lost_games"] == 0

    def test_a_dataset_has_them_with_results_and_without_policy(self, both):
        vault, _ = both
        made = dataset.make_dataset(vault, HEX, Settings(dataset=DatasetSettings(silent_share=1.0)))
        assert (made.facts["games"], made.facts["games_made"], made.facts["refused_shards"]) == (19, 12, 0)
        window = dataset.load_dataset(vault, made.card)
        came = {record.digest for record in stored(vault)[12:]}
        of_those = np.isin(window.games[window.game], list(came))
        assert of_those.sum() > 100 and not window.has_policy[of_those].any() and window.has_policy.any()
        np.testing.assert_allclose(window.value[of_those].sum(1), 1)
        assert dataset.check_dataset(vault, made.card, DatasetSettings()) == []

    def test_imported_games_alone_make_a_dataset(self, local, traces, tmp_path):
        import_games(local, [written(tmp_path, traces)], FEW)
        made = dataset.make_dataset(local, HEX, FEW)
        assert dataset.blocked(made.card, FEW) == []
        assert made.facts["policy_samples"] == 0 < made.facts["samples"]

    def test_they_count_as_made_by_the_present_champion(self, local, traces, tmp_path):
        card = put_anything(local)
        for _ in range(3):
            local.write_pointer(card)
        import_games(local, [written(tmp_path, [found | {"generation": 99} for found in traces[:2]])], FEW)
        assert {record.generation for record in stored(local)} == {2}


class TestCommands:
    def rr(self, *words):
        return CliRunner().invoke(cli.app, ["games", *map(str, words)])

    def test_there_and_back(self, played, local, traces, tmp_path, monkeypatch):
        monkeypatch.setenv("RR_VAULT", played.url)
        out = tmp_path / "games.jsonl"
        told = self.rr("export", "--config", "hex8_2p", "--out", out)
        assert told.stdout == f"12 games of hex8_2p in {out}\n"
        assert [json.loads(line) for line in out.read_text().splitlines()] == traces
        printed = self.rr("export", "--config", "hex8_2p", "--where", "winner = 1", "--limit", 1).stdout
        assert json.loads(printed) == next(found for found in traces if found["res"]["win"] == 1)
        facts = self.rr("export", "--config", "hex8_2p", "--out", f"{out}.gz", "--json").stdout
        assert json.loads(facts) == {"config": "hex8_2p", "games": 12, "file": f"{out}.gz"}
        monkeypatch.setenv("RR_VAULT", local.url)
        lines = self.rr("import", out, f"{out}.gz").stdout.splitlines()
        assert [line.split() for line in lines] == [
            ["config", "read", "imported", "known", "repeated"],
            ["hex8_2p", "24", "12", "0", "12"],
        ]
        again = json.loads(self.rr("import", out, "--config", "hex8_2p", "--json").stdout)
        assert again == {"config": "hex8_2p", "read": 12, "imported": 0, "known": 12, "repeated": 0}

    def test_a_file_that_cannot_be_is_told(self, played, tmp_path, monkeypatch):
        monkeypatch.setenv("RR_VAULT", played.url)
        (tmp_path / "file").write_text("")
        for out, says in (
            ("games.csv", "a file of traces is called .jsonl, or .jsonl.gz and is compressed"),
            ("none/games.jsonl", "games.jsonl cannot be written: No such file or directory"),
            ("file/games.jsonl", "games.jsonl cannot be written: Not a directory"),
        ):
            refused = self.rr("export", "--config", "hex8_2p", "--out", tmp_path / out)
            assert says in str(refused.exception)
        assert "no such trace file" in str(self.rr("import", tmp_path / "none.jsonl").exception)
        assert [path.name for path in tmp_path.iterdir()] == ["file"]
        monkeypatch.setenv("RR_VAULT", str(tmp_path / "none"))
        assert "there is no vault at" in str(self.rr("export", "--config", "hex8_2p").exception)
