"""`rr vault verify`: whatever is wrong with a vault is told, a line for each, and nothing that is not."""

import dataclasses
import shutil

import pytest

from rr_engine.errors import VaultError
from rr_engine.vault import Vault
from rr_engine.vault.audit import Audit
from rr_engine.vault.card import Claim, Pointer, encode
from rr_engine.vault.index import Folder, Index
from tests.engine.vaults import CONFIG, file_of, fill, index, put, rewrite


def problems(vault, *configs):
    return [*Audit(vault, configs).problems()]


@pytest.fixture
def net(local):
    """The checkpoint of a filled local vault."""
    return fill(local)


def write(vault, record):
    file_of(vault, record.place).write_bytes(encode(record))
    index(vault)


class TestWhatIsRight:
    def test_a_vault_as_it_is_left_by_a_loop_has_no_problem(self, vault):
        fill(vault)
        audit = Audit(vault)
        assert [*audit.problems()] == []
        assert audit.artefacts == 8
        assert audit.bytes == sum(card.size for card in all_cards(vault))

    def test_retired_bytes_and_leftovers_are_no_problem(self, local, net):
        local.retire(local.cards("dataset", CONFIG)[0])
        (file_of(local, net.name).parent / f".{'0' * 32}.tmp").write_bytes(b"half")
        (file_of(local, net.name).parent / "notes.txt").write_bytes(b"of somebody")
        index(local)
        assert problems(local) == []

    def test_an_empty_vault_has_none(self, local):
        assert problems(local) == []


class TestWhatIsWrong:
    def test_damaged_bytes(self, local, net):
        file_of(local, net.name).write_bytes(b"damaged")
        assert [problem[: len(net.name) + 11] for problem in problems(local)] == [f"{net.name} is damaged"]

    def test_a_missing_artefact(self, local, net):
        file_of(local, net.name).unlink()
        index(local)
        places = [net.place, net.place.replace(".card", ".1.card")]
        assert problems(local) == [f"{place}: its artefact {net.name} is missing" for place in sorted(places)]

    def test_a_damaged_a_misplaced_and_a_lying_card(self, local):
        fill(local)
        cards = local.cards("games", CONFIG)
        file_of(local, cards[0].place).write_text("{")
        shutil.copy(file_of(local, cards[1].place), file_of(local, cards[2].place))
        rewrite(local, local.cards("matches", CONFIG)[0].place, {"size": 5})
        shutil.rmtree(file_of(local, "tree"))
        shutil.rmtree(file_of(local, "root"))
        index(local)
        told = problems(local)
        assert len(told) == 3
        assert sum("is not a card" in problem for problem in told) == 1
        assert sum("it must lie there" in problem for problem in told) == 1
        assert sum("says 5 bytes, its artefact has 7" in problem for problem in told) == 1

    def test_an_edition_that_is_missing(self, local, net):
        file_of(local, net.place).unlink()
        index(local)
        assert problems(local) == [f"{net.place.replace('.card', '.1.card')}: the edition before it is missing"]

    def test_a_parent_without_a_card(self, local):
        fill(local)
        put(local, b"orphan", parents=("a" * 64,))
        index(local)
        (told,) = problems(local)
        assert told.endswith(f"its parent {'a' * 64} has no card in this vault")

    def test_a_parent_of_another_config_is_one(self, local, net):
        put(local, b"from the other board", config="square8_2p", parents=(net.sha256,))
        index(local)
        assert problems(local) == problems(local, "square8_2p") == []

    def test_pointers_and_claims_out_of_order(self, local):
        fill(local)
        pointer, claim = local.pointer(CONFIG), local.claims(CONFIG)[-1]
        assert isinstance(pointer, Pointer) and isinstance(claim, Claim)
        write(local, dataclasses.replace(pointer, number=2, sha256="b" * 64))
        write(local, dataclasses.replace(pointer, number=4))
        write(local, dataclasses.replace(claim, number=2))
        told = problems(local)
        assert told == [
            f"champion/{CONFIG}/00000002.json points at checkpoint {'b' * 64}, which has no card in this vault",
            f"champion/{CONFIG}/00000004.json: a number before it is missing",
            f"seeds/{CONFIG}/00000002.json claims seeds that one before it has claimed",
        ]

    def test_an_index_that_is_behind_or_says_what_is_not_so(self, local):
        fill(local)
        card = put(local, b"new", kind="games", suffix=".parquet")
        assert [problem.partition(";")[0] for problem in problems(local)] == [
            f"{name} is not in the index yet" for name in sorted((card.name, card.place))
        ]
        index(local)
        file_of(local, card.name).unlink()
        file_of(local, card.place).unlink()
        rewrite(local, local.cards("plan", "all")[0].place, {"rows": 99})
        told = problems(local)
        assert [problem for problem in told if problem.startswith("games")] == [
            f"{name} is in the index and missing" for name in sorted((card.name, card.place))
        ]
        assert any("has other bytes than when it was indexed" in problem for problem in told)
        shutil.rmtree(file_of(local, "root"))
        assert f"games/{CONFIG} has no index; the next run there, or `rr vault index`, makes one" in problems(local)

    def test_a_damaged_node(self, local):
        fill(local)
        root = Index(local.backend).newest(Folder("games", CONFIG))
        node = f"tree/games/{CONFIG}/{root.root}.json.gz"
        file_of(local, node).write_bytes(b"")
        (told,) = problems(local)
        assert f"{node} is missing or damaged" in told

    def test_only_the_configs_asked_for(self, local):
        fill(local)
        other = put(local, b"other board", config="square8_2p")
        index(local)
        file_of(local, other.name).write_bytes(b"damaged")
        assert problems(local, CONFIG) == []
        assert len(problems(local, "square8_2p")) == len(problems(local, CONFIG, "square8_2p")) == 1
        with pytest.raises(VaultError, match=r"holds nothing of hex9_2p; it holds all, hex8_2p, square8_2p"):
            problems(local, "hex9_2p")


def all_cards(vault: Vault):
    return [card for folder in Index(vault.backend).folders() for card in vault.cards(*folder)]
