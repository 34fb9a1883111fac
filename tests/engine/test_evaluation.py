"""The evaluation of a candidate: whom it meets how often, and what is kept of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from rr_engine.arena.gate import Ruling
from rr_engine.boards import Config
from rr_engine.progress import Lines
from rr_engine.settings import CurriculumSettings, GateSettings, MatchSettings, Settings
from rr_engine.stages import crown, evaluations, rating
from rr_engine.vault import Vault
from tests.engine.test_stored import kept

HEX = Config.parse("hex8_2p")
SETTINGS = Settings(  # with this seed no untrained network masters an anchor by luck
    match=MatchSettings(seed=3, pairs=3, anchor_pairs=2, search_anchor_pairs=0, simulations=0),
    gate=GateSettings(wave_pairs=2, max_pairs=4),
    curriculum=CurriculumSettings(mastered_games=4, mastered_win_rate=1.0),
)


def games_of(rated: rating.Rated) -> dict[str, int]:
    return {row["opponent"]: row["games"] for row in rated.summary}


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    """With a champion, untrained and unproven, that has met every anchor."""
    vault = Vault.open(str(tmp_path / "vault"))
    kept(vault, HEX, 1)
    rating.rate_candidate(vault, HEX, replace(SETTINGS, match=replace(SETTINGS.match, search_anchor_pairs=1)))
    crown.decide(vault, HEX, SETTINGS)
    return vault


def test_the_first_meets_every_anchor(vault: Vault):
    card = evaluations.newest_matches(vault, HEX)
    counts = {name: result["games"] for name, result in card.facts["results"].items()}
    ladder = {"greedy-random": 4, "heuristic-greedy": 4}
    assert counts == {"random": 4, "greedy": 4, "heuristic": 6, "search:heuristic:64": 2, **ladder}
    assert set(card.facts["seconds"]) == set(counts)
    assert all(seconds > 0 for seconds in card.facts["seconds"].values())
    assert rating.check_rating(vault, HEX, SETTINGS.match)[1] == []
    champion = vault.pointer(HEX.key)
    assert champion is not None
    standing = evaluations.standing_of(vault, HEX, champion.sha256)
    assert standing is not None
    assert standing["name"] == f"checkpoint:{champion.sha256[:12]}:0"


def test_who_fails_against_the_champion_meets_the_heuristic_for_a_rating_only(vault: Vault):
    kept(vault, HEX, 2)
    told: list[str] = []
    rated = rating.rate_candidate(vault, HEX, SETTINGS, watch=Lines(told.append, first_s=0, every_s=0))
    assert games_of(rated) == {"champion": 8, "random": 4, "greedy": 4, "heuristic": 4}
    ended = [line for line in told if " distinct, " in line]
    assert len(ended) == len([line for line in told if "undecided" not in line and " games, " not in line]) == 4
    assert any(" of 4 games, " in line and "decisions/s" in line for line in told)
    assert rating.check_rating(vault, HEX, SETTINGS.match)[1] == []
    assert crown.decide(vault, HEX, SETTINGS).decision == "kept"


def test_an_anchor_once_mastered_is_met_less_often(vault: Vault):
    kept(vault, HEX, 2)
    easy = replace(SETTINGS.curriculum, mastered_win_rate=0.0)
    settings = replace(SETTINGS, curriculum=easy, match=replace(SETTINGS.match, mastered_pairs=1))
    assert games_of(rating.rate_candidate(vault, HEX, settings)) == {
        "champion": 8,
        "random": 2,
        "greedy": 2,
        "heuristic": 4,
    }


def test_who_beats_the_champion_meets_all_and_old_knowledge_is_renewed(vault: Vault, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(rating, "sequential_test", lambda *_, **__: Ruling.BETTER)
    champion = vault.pointer(HEX.key)
    assert champion is not None
    second = kept(vault, HEX, 2)
    everybody = {"champion": 4, "random": 4, "greedy": 4, "heuristic": 6}
    assert games_of(rating.rate_candidate(vault, HEX, SETTINGS)) == everybody
    searching = replace(SETTINGS, match=replace(SETTINGS.match, simulations=1))
    third = kept(vault, HEX, 3)
    assert games_of(rating.rate_candidate(vault, HEX, searching)) == {**everybody, evaluations.REMATCH: 6}
    assert rating.check_rating(vault, HEX, searching.match)[1] == []
    known = evaluations.champion_results(vault, HEX, champion.sha256)
    assert known is not None
    assert known["heuristic"]["a"]["name"] == f"checkpoint:{champion.sha256[:12]}:1"
    names = {row["name"] for row in evaluations.ratings_of(vault, HEX)}
    assert names >= {f"checkpoint:{champion.sha256[:12]}:{simulations}" for simulations in (0, 1)}
    assert names >= {f"checkpoint:{second.sha256[:12]}:0", f"checkpoint:{third.sha256[:12]}:1"}
    kept(vault, HEX, 4)
    assert evaluations.REMATCH not in games_of(rating.rate_candidate(vault, HEX, searching))  # known by now


def test_a_champion_is_proven_by_its_lower_bound_against_the_heuristic(vault: Vault, tmp_path: Path):
    known = evaluations.newest_matches(vault, HEX)
    for low, share, proven in ((0.51, 1.0, True), (0.5, 1.0, False), (0.26, 0.5, True), (0.25, 0.5, False)):
        fresh = Vault.open(str(tmp_path / f"{low} {share}"))
        kept(fresh, HEX, 1)
        results = known.facts["results"]
        results = {**results, "heuristic": {**results["heuristic"], "wilson_low": low}}
        facts = {**known.facts, "results": results}
        fresh.put(known.kind, HEX.key, b"", suffix=".gz", producer="test", rows=0, schema_version=1, facts=facts)
        settings = replace(SETTINGS, gate=replace(SETTINGS.gate, proven_share=share))
        assert crown.decide(fresh, HEX, settings).facts["proven"] == proven
