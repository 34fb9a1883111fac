"""Pointers and claims: numbered, created where nothing is, never lost and never doubled, by whoever writes at once."""

import dataclasses
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from rr_engine.errors import VaultError
from rr_engine.vault import backends, store
from tests.engine.vaults import CONFIG, put, rewrite


class TestPointers:
    def test_the_highest_number_counts(self, vault):
        assert vault.pointer(CONFIG) is None
        first, second = put(vault, b"first"), put(vault, b"second")
        vault.write_pointer(first, facts={"reason": "bootstrap"})
        vault.write_pointer(second)
        rolled_back = vault.write_pointer(first, facts={"reason": "rolled back"})
        assert vault.pointer(CONFIG) == rolled_back
        assert [(pointer.number, pointer.sha256) for pointer in vault.pointers(CONFIG)] == [
            (0, first.sha256),
            (1, second.sha256),
            (2, first.sha256),
        ]
        assert vault.pointer("square8_2p") is None

    def test_of_two_writers_one_wins_and_the_other_gets_the_next_number(self, vault, monkeypatch):
        ours, theirs = put(vault, b"ours"), put(vault, b"theirs")
        numbers = vault._numbers

        def overtaken(kind, config):
            seen = numbers(kind, config)
            monkeypatch.setattr(vault, "_numbers", numbers)
            vault.write_pointer(theirs)
            return seen

        monkeypatch.setattr(vault, "_numbers", overtaken)
        assert vault.write_pointer(ours).number == 1
        assert [pointer.sha256 for pointer in vault.pointers(CONFIG)] == [theirs.sha256, ours.sha256]

    def test_many_writers_at_once_lose_no_pointer(self, local):
        card = put(local)
        with ThreadPoolExecutor(8) as pool:
            made = list(pool.map(lambda turn: local.write_pointer(card, facts={"turn": turn}), range(24)))
        assert sorted(pointer.number for pointer in made) == list(range(24))
        assert local.pointers(CONFIG) == sorted(made, key=lambda pointer: pointer.number)

    def test_it_must_point_at_something_here(self, vault):
        absent = dataclasses.replace(put(vault), sha256="0" * 64)
        with pytest.raises(VaultError, match="holds no checkpoint"):
            vault.write_pointer(absent)

    def test_a_damaged_pointer_is_refused_and_not_skipped(self, local):
        card = put(local)
        local.write_pointer(card)
        place = local.write_pointer(card).place
        rewrite(local, place, {"number": 7})
        with pytest.raises(VaultError, match="must lie there"):
            local.pointer(CONFIG)

    @pytest.mark.parametrize("kind", ["champion", "seeds"])
    def test_no_artefact_can_take_the_place_of_pointers_and_claims(self, vault, kind):
        with pytest.raises(VaultError, match="write_pointer or claim"):
            put(vault, kind=kind)


class TestClaims:
    def test_each_begins_where_the_one_before_ended(self, vault):
        spans = [(claim.number, claim.start, claim.stop) for claim in (vault.claim(CONFIG, 5), vault.claim(CONFIG, 3))]
        assert spans == [(0, 0, 5), (1, 5, 8)]
        assert vault.claim("square8_2p", 2).start == 0
        assert vault.claim(CONFIG, 1, least=100).start == 100
        last = vault.claim(CONFIG, 1, least=7, facts={"batch": "run"})
        assert (last.start, last.facts) == (101, {"batch": "run"})
        assert vault.claims(CONFIG)[-1] == last
        assert [claim.number for claim in vault.claims(CONFIG)] == [0, 1, 2, 3]

    def test_many_at_once_never_overlap(self, local):
        with ThreadPoolExecutor(8) as pool:
            claims = list(pool.map(lambda seeds: local.claim(CONFIG, seeds), range(1, 25)))
        claimed = [seed for claim in claims for seed in range(claim.start, claim.stop)]
        assert sorted(claimed) == list(range(sum(range(1, 25))))

    def test_who_is_overtaken_follows_who_overtook(self, vault, monkeypatch):
        numbers = vault._numbers

        def overtaken(kind, config):
            seen = numbers(kind, config)
            monkeypatch.setattr(vault, "_numbers", numbers)
            vault.claim(CONFIG, 10)
            return seen

        monkeypatch.setattr(vault, "_numbers", overtaken)
        ours = vault.claim(CONFIG, 5)
        assert (ours.number, ours.start, ours.stop) == (1, 10, 15)

    def test_two_that_look_alike_are_two(self, distant, monkeypatch):
        monkeypatch.setattr(store, "_now", lambda: "2026-01-01T00:00:00.000000+00:00")
        numbers = distant._numbers
        first = distant.claim(CONFIG, 5)
        stale = iter([[]])
        monkeypatch.setattr(distant, "_numbers", lambda *place: next(stale, None) or numbers(*place))
        assert distant.claim(CONFIG, 5).start == first.stop

    def test_an_empty_one_and_a_full_disk_are_refused(self, local, monkeypatch):
        with pytest.raises(VaultError, match="must hold a seed"):
            local.claim(CONFIG, 0)
        monkeypatch.setattr(backends.shutil, "disk_usage", lambda _: SimpleNamespace(used=96, free=4))
        with pytest.raises(VaultError, match=r"96.0% full"):
            local.claim(CONFIG, 1)
        assert local.claims(CONFIG) == []

    def test_a_damaged_one_is_refused_and_not_skipped(self, local):
        rewrite(local, local.claim(CONFIG, 5).place, {"stop": 2, "start": 3})
        with pytest.raises(VaultError, match="must hold a seed"):
            local.claim(CONFIG, 5)
