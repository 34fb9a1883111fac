"""From a dataset to a candidate: where its weights come from, how much it may train, and how a stopped run goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rr_engine.boards import Config
from rr_engine.errors import DataError, TrainingError
from rr_engine.nn.checkpoint import save_checkpoint, untrained
from rr_engine.nn.features import FEATURE_VERSION
from rr_engine.records import shard
from rr_engine.settings import DatasetSettings, NetworkSettings, Settings, TrainingSettings
from rr_engine.stages import candidate, dataset, evaluations, games
from rr_engine.stages.candidate import STATE_KIND, make_candidate, samples_allowed, starting_card
from rr_engine.training.report import Progress
from rr_engine.vault import Card, Vault
from tests.engine.games import make_records

HEX = Config.parse("hex8_2p")
NETWORK = NetworkSettings(channels=8, blocks=1)
SETTINGS = Settings(
    dataset=DatasetSettings(validation_share=0.2),
    network=NETWORK,
    training=TrainingSettings(passes=2, batch_size=64, state_interval_s=0.0),
)


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault.open(str(tmp_path / "vault"))


@pytest.fixture
def data(vault: Vault) -> Card:
    """A dataset of some games."""
    records = make_records(HEX.key, 8)
    _shard(vault, shard.encode(records), decisions=sum(record.decisions for record in records))
    return dataset.make_dataset(vault, HEX, SETTINGS).card


def _shard(vault: Vault, content: bytes, *, decisions: int) -> None:
    vault.put(
        games.KIND,
        HEX.key,
        content,
        suffix=".parquet",
        producer="test",
        rows=8,
        schema_version=shard.SCHEMA_VERSION,
        facts={
            "generation": 0,
            "decisions": decisions,
            "seeds": [0, 8],
            "usual_decisions": 77.0,
            "planned_share": 1.0,
            "quality": {"games": 8, "decisive": 1, "length": 1, "starts": 1, "targets": 1, "balance": 1},
        },
    )


def _checkpoint(vault: Vault, key: str, network: NetworkSettings = NETWORK, *, seed: int) -> Card:
    return vault.put(
        candidate.KIND,
        key,
        save_checkpoint(untrained(Config.parse(key), network, seed=seed)),
        suffix=".safetensors",
        producer="test",
        rows=1,
        schema_version=FEATURE_VERSION,
        facts={"samples_trained": 0, "epochs": []},
    )


def _champion(vault: Vault, key: str, network: NetworkSettings = NETWORK) -> Card:
    card = _checkpoint(vault, key, network, seed=len(vault.pointers(key)))
    vault.write_pointer(card, facts={"proven": True})
    return card


def _with(**changes: object) -> Settings:
    return replace(SETTINGS, training=replace(SETTINGS.training, **changes))


def test_without_any_champion_weights_are_new(vault: Vault, data: Card) -> None:
    made = make_candidate(vault, HEX, SETTINGS)
    assert made.card.parents == (data.sha256,)
    assert made.facts["started_from"] is None
    assert made.facts["started_from_config"] is None
    assert made.facts["loss_anomaly"] is False
    assert candidate.check_candidate(vault, made.card) == []


def test_weights_come_from_the_nearest_champion(vault: Vault) -> None:
    """The same board by seats, then the smaller board of the same shape, never another shape."""
    hexagonal = Config.parse("hexagonal_4p")
    assert starting_card(vault, hexagonal, SETTINGS) is None
    _champion(vault, "square8_4p")
    assert starting_card(vault, hexagonal, SETTINGS) is None
    for key in ("hex8_2p", "hex8_4p", "hexagonal_2p", "hexagonal_3p", "hexagonal_4p"):
        card = _champion(vault, key)
        assert starting_card(vault, hexagonal, SETTINGS) == card
    newest = _champion(vault, "hexagonal_4p")
    assert starting_card(vault, hexagonal, SETTINGS) == newest
    assert starting_card(vault, HEX, _with(warm_start="square8_4p")).config == "hex8_2p"  # it has a champion itself
    assert starting_card(vault, Config.parse("hex8_3p"), SETTINGS).config == "hex8_2p"


def test_a_warm_start_can_be_named_or_ruled_out(vault: Vault) -> None:
    square, hexagon = _champion(vault, "square8_2p"), _champion(vault, "hex8_2p")
    four = Config.parse("hex8_4p")
    assert starting_card(vault, four, SETTINGS) == hexagon
    assert starting_card(vault, four, _with(warm_start="square8_2p")) == square
    assert starting_card(vault, four, _with(warm_start="none")) is None
    larger = replace(SETTINGS, network=NetworkSettings(channels=16, blocks=1))
    assert starting_card(vault, four, larger) is None
    assert starting_card(vault, HEX, larger) is None  # not even its own champion fits


@pytest.mark.parametrize(
    ("duel", "goes_on"),
    [
        ({"games": 100, "elo": -49.0}, True),  # not promoted, but what it learned is kept
        ({"games": 100, "elo": 80.0}, True),
        ({"games": 100, "elo": -50.0}, False),
        ({"games": 49, "elo": -400.0}, True),  # too few games to tell
        (None, True),  # there was no champion to meet
    ],
)
def test_the_newest_candidate_goes_on_unless_it_fell_far_behind(
    vault: Vault, duel: dict[str, float] | None, goes_on: bool
) -> None:
    champion = _champion(vault, HEX.key)
    newest = _checkpoint(vault, HEX.key, seed=5)
    assert starting_card(vault, HEX, SETTINGS) == champion  # never evaluated
    vault.put(
        evaluations.MATCHES_KIND,
        HEX.key,
        b"games",
        suffix=".json.gz",
        producer="test",
        rows=1,
        schema_version=1,
        facts={"candidate": newest.sha256, "results": {} if duel is None else {"champion": duel}},
    )
    assert starting_card(vault, HEX, SETTINGS) == (newest if goes_on else champion)


def test_a_candidate_says_whose_weights_it_started_from(vault: Vault, data: Card) -> None:
    other = _champion(vault, "hex8_3p")
    made = make_candidate(vault, HEX, SETTINGS)
    assert (made.facts["started_from"], made.facts["started_from_config"]) == (other.sha256, "hex8_3p")
    assert made.card.parents == (data.sha256, other.sha256)


@pytest.fixture
def _on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same to the bit is what a processor promises; a GPU's sums are in no fixed order."""
    monkeypatch.setattr("rr_engine.nn.evaluator.best_device", lambda: "cpu")


class _StopError(Exception):
    """Thrown by a listener, as a kill would."""


@pytest.mark.usefixtures("_on_cpu")
def test_a_stopped_run_goes_on_where_it_was(vault: Vault, data: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rr_engine.training.train._TOLD_S", 0.0)
    seen: list[int] = []

    def stop(progress: Progress) -> None:
        seen.append(progress.step)
        if len(seen) == 4:
            raise _StopError

    with pytest.raises(_StopError):
        make_candidate(vault, HEX, SETTINGS, on_progress=stop)
    states = vault.cards(STATE_KIND, HEX.key)
    assert sorted(card.facts["step"] for card in states) == [1, 2, 3]
    assert {card.facts["dataset"] for card in states} == {data.sha256}
    told: list[Progress] = []
    resumed = make_candidate(vault, HEX, _with(state_interval_s=99.0), on_progress=told.append)
    assert told[0].step == 4
    fresh = Vault.open(vault.url + "_fresh")
    for kind in (games.KIND, dataset.KIND):
        for card in vault.cards(kind, HEX.key):
            kept = {name: getattr(card, name) for name in ("suffix", "producer", "rows", "schema_version", "facts")}
            fresh.put(kind, HEX.key, vault.get(card), **kept)
    assert make_candidate(fresh, HEX, SETTINGS).card.sha256 == resumed.card.sha256


@pytest.mark.usefixtures("_on_cpu")
def test_states_of_another_version_are_left_alone(vault: Vault, data: Card, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make_candidate(vault, HEX, SETTINGS)
    assert vault.cards(STATE_KIND, HEX.key)
    monkeypatch.setattr("rr_engine.training.state.STATE_VERSION", 99)
    began: list[int] = []
    monkeypatch.setattr(candidate, "starting_card", lambda *_: None)  # the same run as before
    again = make_candidate(vault, HEX, SETTINGS, on_epoch=lambda epoch: began.append(epoch.epoch))
    assert began == [0, 1]
    assert again.card.sha256 == first.card.sha256


def test_other_settings_or_another_start_are_another_run(vault: Vault, data: Card) -> None:
    make_candidate(vault, HEX, SETTINGS)
    began: list[int] = []
    first = {card.facts["settings"] for card in vault.cards(STATE_KIND, HEX.key)}
    make_candidate(vault, HEX, _with(learning_rate=1e-3), on_epoch=lambda epoch: began.append(epoch.epoch))
    assert began == [0, 1]
    assert {card.facts["settings"] for card in vault.cards(STATE_KIND, HEX.key)} > first


def test_what_was_made_limits_what_may_be_trained_on(vault: Vault, data: Card) -> None:
    window = dataset.load_dataset(vault, data)
    strict = replace(SETTINGS, dataset=replace(SETTINGS.dataset, max_replay_ratio=1.5))
    allowed = samples_allowed(vault, HEX, strict, data)
    assert allowed == int(1.5 * window.samples)  # the window holds all that was made
    made = make_candidate(vault, HEX, strict)
    assert 0 < made.facts["samples_trained"] <= allowed
    left = samples_allowed(vault, HEX, strict, data)
    assert left == allowed - made.facts["samples_trained"]
    exhausted = replace(strict, dataset=replace(strict.dataset, max_replay_ratio=1.0))
    with pytest.raises(TrainingError, match="make games first"):
        make_candidate(vault, HEX, exhausted)


def test_refused_games_allow_no_training(vault: Vault, data: Card) -> None:
    allowed = samples_allowed(vault, HEX, SETTINGS, data)
    _shard(vault, b"damaged", decisions=10**6)
    later = dataset.make_dataset(vault, HEX, SETTINGS).card
    assert later.facts["refused_shards"] == 1
    assert samples_allowed(vault, HEX, SETTINGS, later) == allowed


def test_without_a_dataset_there_is_nothing_to_train_on(vault: Vault) -> None:
    with pytest.raises(DataError, match="materialise npz_dataset first"):
        make_candidate(vault, HEX, SETTINGS)
    with pytest.raises(DataError, match="materialise checkpoint first"):
        candidate.newest_candidate(vault, HEX)
