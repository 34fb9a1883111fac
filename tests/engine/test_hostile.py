"""A vault somebody else wrote: it starts nothing, leads nowhere else, and takes no more time or memory than it may."""

import gzip
import hashlib
import io
import json
import os
import zipfile

import numpy as np
import pytest

from rr_engine.boards import Config
from rr_engine.errors import DataError, IndexDamageError, VaultError
from rr_engine.nn.checkpoint import load_checkpoint, save_checkpoint, untrained
from rr_engine.reading import parse_json, unpacked
from rr_engine.records import shard
from rr_engine.settings import NetworkSettings, Settings, load
from rr_engine.stages import evaluations, fleet
from rr_engine.stages.curriculum import curriculum_of
from rr_engine.training.npz import ArrayFile
from rr_engine.vault import Vault
from rr_engine.vault.backends import RECORD_BYTES
from rr_engine.vault.card import Root, encode
from rr_engine.vault.index import Folder, Index, node_place
from rr_engine.vault.merkle import LEAF_STEMS, Branch, Child, Leaf, Trie, decode, differences, hash_of
from rr_engine.vault.merkle import encode as encode_node
from rr_engine.vault.near import NearRecords
from tests.engine.vaults import CONFIG, put, rewrite

HEX = Config.parse(CONFIG)
GAMES = Folder("games", CONFIG)
PLAN = {
    **{"config": CONFIG, "share": 1.0, "games": 10, "opponent": "greedy", "exploration": 1.0, "throttled": False},
    **{"priority": 0.5, "granted": "", "granted_at": "", "reason": "r"},
}


def planned(vault, **changes):
    """A plan whose card somebody has changed since."""
    fields = {"kind": "plan", "config": "all", "suffix": ".json", "schema_version": fleet.SCHEMA_VERSION}
    card = put(vault, b"plan", facts={"rows": [PLAN]}, **fields)
    rewrite(vault, card.place, {"facts": {"rows": [PLAN | changes]}})
    return Vault.open(vault.url)


class TestFacts:
    @pytest.mark.parametrize("name", ["external:sh -c true", "file:x", "champion", 5])
    def test_a_plan_names_anchors_and_starts_no_program(self, local, name):
        with pytest.raises(
            DataError, match=r"fact rows.0.opponent = .* is refused: (must be random, greedy or heuristic|.*string)"
        ):
            fleet.selfplay_order(planned(local, opponent=name), HEX, Settings())

    @pytest.mark.parametrize(
        ("fact", "value"),
        [("games", 2**62), ("games", 1.5), ("exploration", 1e300), ("throttled", "no"), ("share", -1), ("share", "1")],
    )
    def test_a_fact_of_another_type_or_range_is_named(self, local, fact, value):
        with pytest.raises(DataError, match=rf"plan/all/.*: fact rows.0.{fact} = .* is refused: "):
            fleet.newest_plan(planned(local, **{fact: value}))

    def test_a_plan_orders_no_more_games_than_the_settings_allow(self, local):
        settings = load(environ={}, overrides={"plan": {"games": 50}})
        assert fleet.selfplay_order(planned(local, games=10**9), HEX, settings).games == 50

    def test_a_fact_that_is_missing_is_named(self, local):
        put(local, kind="curriculum", suffix=".json", facts={"changed": True})
        with pytest.raises(DataError, match="does not say 'state'"):
            curriculum_of(local, HEX)
        with pytest.raises(DataError, match="does not say 'hex8_2p'"):
            fleet.plan_rows(planned(local, config="hex8_3p").cards("plan", "all")[0])[CONFIG]

    def test_what_nobody_could_read_is_not_written(self, local):
        with pytest.raises(DataError, match=r"fact step = '3' is refused"):
            put(local, kind="training", facts={"step": "3"})
        assert local.backend.walk("") == {}

    @pytest.mark.parametrize("data", [b"", b"{}", b'[{"name": 1}]', b'[{"elo": NaN}]', b"[" * 10**5])
    def test_ratings_that_are_none_are_refused(self, local, data):
        put(local, data, kind="ratings", suffix=".json")
        with pytest.raises(DataError, match="ratings"):
            evaluations.standing_of(local, HEX, "a" * 64)

    @pytest.mark.parametrize(
        "created", ["", "yesterday", "2030-01-01", "2030-01-01T00:00:00", "2030-01-01T00:00:00+02:00"]
    )
    def test_a_time_is_one_in_utc(self, local, created):
        rewrite(local, put(local).place, {"created": created})
        with pytest.raises(VaultError, match="is no time in UTC"):
            Vault.open(local.url).cards("checkpoint", CONFIG)


class TestJson:
    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ('{"a": 1, "a": 2}', "key 'a' stands twice"),
            ("NaN", "NaN is no number"),
            ("[-Infinity]", "Infinity is no number"),
            ("1e999", "larger than any number"),
            (str(2**64), "larger than any number"),
            ("9" * 10**5, "no JSON"),
            ("[" * 10**5, "nested too deeply"),
            (b"\xff", "no JSON"),
            ("", "no JSON"),
        ],
    )
    def test_what_json_is_not_is_refused(self, text, says):
        with pytest.raises(DataError, match=says):
            parse_json(text)

    def test_what_is_packed_is_unpacked_up_to_a_size(self):
        assert unpacked(gzip.compress(b"x" * 9), 9) == b"x" * 9
        for data in (gzip.compress(bytes(1 << 20)), b"", b"no gzip", gzip.compress(b"x" * 9)[:-1]):
            with pytest.raises(DataError):
                unpacked(data, 8)


class TestFiles:
    @pytest.mark.parametrize("name", ["../x", "games/../../x", "/etc/passwd", "games/\0", ".."])
    def test_no_name_leads_out_of_the_folder(self, local, tmp_path, name):
        (tmp_path / "x").write_text("secret")
        for ask in (local.backend.read, local.backend.digest, local.backend.remove, local.backend.found):
            with pytest.raises(VaultError, match="names nothing in"):
                ask(name)
        with pytest.raises(VaultError, match="names nothing in"):
            local.backend.create(name, b"")
        assert (tmp_path / "x").read_text() == "secret"
        near = NearRecords(tmp_path / "near")
        near.keep(name, "mark", b"data")
        assert near.find(name, "mark") is None
        assert not (tmp_path / "near").exists()

    def test_what_is_no_file_is_not_waited_for(self, local):
        card = put(local)
        place = local.backend.path(card.name)
        place.unlink()
        os.mkfifo(place)
        for read in (local.get, local.path):
            with pytest.raises(VaultError, match="it is no file"):
                read(card)
        place.unlink()
        place.symlink_to("/dev/zero")
        with pytest.raises(VaultError, match="it is no file"):
            local.get(card)

    def test_a_record_and_an_artefact_are_read_up_to_a_size(self, vault):
        card = put(vault, b"weights")
        with pytest.raises(VaultError, match="more than the 3 bytes"):
            vault.get(card, 3)
        vault.backend.write(card.place, *_with_digest(bytes(RECORD_BYTES + 1)))
        with pytest.raises(VaultError, match=f"more than the {RECORD_BYTES} bytes"):
            vault.card(card.kind, card.config, card.sha256)
        vault.backend.write(card.name, *_with_digest(b"weights and more"))
        with pytest.raises(VaultError, match="more than the 7 bytes|expected"):
            vault.get(card)

    def test_an_array_file_declares_no_more_than_it_may(self):
        sink = io.BytesIO()
        np.savez_compressed(sink, a=np.zeros(10**6))
        with pytest.raises(DataError, match="its arrays have 8000000 bytes, 1000000 are allowed"):
            ArrayFile(sink.getvalue(), {"a"}, most=10**6)
        bomb = io.BytesIO()
        with zipfile.ZipFile(bomb, "w") as archive, archive.open("a.npy", "w") as member:
            np.lib.format.write_array_header_1_0(member, {"descr": "<f8", "fortran_order": False, "shape": (10**15,)})
        with pytest.raises(DataError, match="a declares 8000000000000000 bytes and has 0"):
            ArrayFile(bomb.getvalue(), {"a"}, most=10**18)

    def test_a_shard_declares_no_more_than_it_may(self, hex_records, monkeypatch):
        data = shard.encode(hex_records)
        monkeypatch.setattr(shard, "_MOST_GAMES", 10)
        with pytest.raises(DataError, match="it declares 12 games, 10 are allowed"):
            shard.decode(data)
        monkeypatch.setattr(shard, "_MOST_BYTES", 1000)
        with pytest.raises(DataError, match=f"it has {len(data)} bytes, 1000 are allowed"):
            shard.decode(data)

    @pytest.mark.parametrize(
        ("network", "says"),
        [
            ({"channels": 10**9, "blocks": 1}, "takes more weights than it has"),
            ({"channels": 4, "blocks": 10**9}, "takes more weights than it has"),
            ({"channels": 5, "blocks": 1}, "is torch.float32, .*must be|must be"),
            ({"channels": 4, "blocks": 2}, "is missing or unknown"),
            ({"channels": "4", "blocks": 1}, "whole number"),
            ({"channels": 4, "blocks": 1, "more": 1}, "unknown setting more"),
            ([], "does not fit its own description"),
        ],
    )
    def test_a_network_is_made_only_as_large_as_its_file(self, network, says):
        data = save_checkpoint(untrained(HEX, NetworkSettings(channels=4, blocks=1), seed=1))
        end = 8 + int.from_bytes(data[:8], "little")
        header = json.loads(data[8:end])
        inner = json.loads(header["__metadata__"]["ringrift"])
        header["__metadata__"]["ringrift"] = json.dumps(inner | {"network": network})
        changed = json.dumps(header).encode()
        with pytest.raises(DataError, match=says):
            load_checkpoint(len(changed).to_bytes(8, "little") + changed + data[end:], HEX)


def _with_digest(data):
    return data, (hashlib.sha256(data).hexdigest(), len(data))


class TestTrees:
    def filled(self, vault, shards=100):
        for number in range(shards):
            put(vault, f"shard {number}".encode(), kind="games", suffix=".parquet")
        return vault.index(*GAMES)

    def published(self, vault, nodes, root):
        """Let some nodes be the tree that counts."""
        for node in nodes:
            data = gzip.compress(encode_node(node), mtime=0)
            vault.backend.write(node_place(GAMES, hash_of(node)), *_with_digest(data))
        record = Root(*GAMES, 50, root, 1, "2030-01-01T00:00:00.000000+00:00")
        vault.backend.create(record.place, encode(record))

    def test_nodes_that_hang_below_each_other_many_times_are_refused_at_once(self, local):
        self.filled(local, 5)
        level: list[Child] = [Child("0" * 64, "0" * 16, 40), Child("1" * 64, "0" * 16, 40)]
        nodes = []
        for _ in range(60):  # 2 ** 60 ways to the bottom
            both = [Branch({"0": level[0], "1": level[1]}), Branch({"2": level[0], "3": level[1]})]
            nodes += both
            stems = level[0].stems * 2
            level = [Child(hash_of(node), "0" * 16, stems) for node in both]
        root = hash_of(nodes[-1])
        self.published(local, nodes, root)
        index = Index(local.backend)
        for read in (index.stored(GAMES, root).entries, lambda: index.stored(GAMES, root).compared([], thorough=True)):
            with pytest.raises(IndexDamageError, match="missing or damaged"):
                read()
        with pytest.raises(IndexDamageError):
            index.stored(GAMES, root).nodes()
        assert len(index.stored(GAMES, index.refresh(GAMES)).entries()) == 10

    def test_an_entry_that_hangs_elsewhere_is_refused(self):
        whole = Trie().updated({f"{number:064x}.bin": "0" * 64 for number in range(99)})
        root = whole.node(whole.root)
        assert isinstance(root, Branch)
        turned = dict(zip(root.children, [*list(root.children.values())[1:], root.children["0"]], strict=True))
        nodes = {**whole.new, hash_of(Branch(turned)): Branch(turned)}
        evil = Trie(hash_of(Branch(turned)), nodes.__getitem__)
        for read in (evil.entries, lambda: differences(evil, whole), lambda: evil.updated({"a": "0" * 64})):
            with pytest.raises(IndexDamageError, match="does not belong where it hangs"):
                read()

    def test_a_sum_that_is_none_hides_no_file_for_good(self, local):
        root = self.filled(local)
        put(local, b"hidden", kind="games", suffix=".parquet")
        index = Index(local.backend)
        after = index.listed(GAMES, root=root)
        old, new = index.stored(GAMES, root).node(root), after.node(after.root)
        assert isinstance(old, Branch) and isinstance(new, Branch)
        lying = Branch(
            {
                digit: Child(child.sha256, new.children[digit].names, new.children[digit].stems)
                for digit, child in old.children.items()
            }
        )
        self.published(local, [lying], hash_of(lying))
        with pytest.raises(IndexDamageError, match="does not belong where it hangs"):
            index.stored(GAMES, hash_of(lying)).entries()
        assert Index(local.backend).refresh(GAMES, thorough=True) == after.root

    def test_a_node_that_is_missing_and_has_no_files_is_mended(self, local):
        root = self.filled(local)
        index = Index(local.backend)
        node = index.stored(GAMES, root).node(root)
        assert isinstance(node, Branch)
        digit, child = next(iter(node.children.items()))
        for name in index.stored(GAMES, root).below(index.stored(GAMES, root).child(child, digit), digit):
            local.backend.remove(f"{GAMES}/{name[0]}")
        local.backend.remove(node_place(GAMES, child.sha256))
        mended = Index(local.backend).refresh(GAMES)
        assert 0 < len(Index(local.backend).stored(GAMES, mended).entries()) < 200

    def test_who_adds_to_a_tree_that_is_damaged_makes_it_anew(self, local):
        root = self.filled(local)
        local.backend.remove(node_place(GAMES, root))
        card = put(local, b"one more", kind="games", suffix=".parquet")
        added = Index(local.backend).add(GAMES, {card.name.rpartition("/")[2]: card.sha256})
        assert len(Index(local.backend).stored(GAMES, added).entries()) == 202

    def test_a_root_of_no_folder_of_a_vault_is_passed_over(self, distant):
        self.filled(distant, 3)
        for folder in ("../evil", "games/..", "GAMES/x", "a/b/c"):
            distant.backend.create(f"root/{folder}/00000000.json", b"{}")
        assert set(Index(distant.backend).newest_of_all()) == {GAMES}

    @pytest.mark.parametrize(
        "data", [b'{"branch":{}}', b'{"branch":{"0":["' + b"0" * 64 + b'","' + b"0" * 16 + b'",1]}}']
    )
    def test_a_branch_has_more_than_a_leaf_could_take(self, data):
        with pytest.raises(VaultError, match="not a node"):
            decode(data)

    def test_a_leaf_has_no_more_than_it_can_take(self):
        leaf = Leaf({f"{number:064x}.bin": "0" * 64 for number in range(LEAF_STEMS + 1)})
        with pytest.raises(VaultError, match="not a node"):
            decode(encode_node(leaf))
