"""The platform for real: `make ui` on a fresh home turns the loop by itself, and stops where something is wrong."""

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from benchmarks.served import DAGSTER, Dev, dagster_dev, let_rest
from benchmarks.serving import until_it_answers
from rr_assets import automation, code_location
from rr_assets.coordinator import UNDER_WAY, writes_tag
from rr_engine.boards import Config
from rr_engine.records import shard
from rr_engine.stages import dataset, fleet, games, pauses
from rr_engine.vault import Vault
from tests.engine.games import make_records
from tests.graph.conftest import HEX, LOOP, ROOT, TINY

BAD = Config.parse("hex8_3p")
ONE_TURN_S = 240
WHOLE = {"RR_DATASET__LEAST_SAMPLES": "100000", "RR_DATASET__MAX_SAMPLES": "100000"}  # poor games never drop out


def _plant_poor_games(vault: Vault, config: Config) -> None:
    """Games that replay, and whose card says that thousands like them were poor."""
    records = make_records(config.key, 4)
    poor = {"games": 4000, "decisive": 0.0, "length": 0.0, "starts": 0.1, "targets": 0.0, "balance": 0.5}
    vault.put(
        games.KIND,
        config.key,
        shard.encode(records),
        suffix=".parquet",
        producer="test",
        rows=len(records),
        schema_version=shard.SCHEMA_VERSION,
        facts={
            "claim": -1,  # of no run
            "generation": -1,
            "player": "test",
            "decisions": sum(record.decisions for record in records),
            "seeds": [0, 4],
            "wins_by_seat": [2, 1, 1],
            "games_against_opponent": 0,
            "wins_against_it": 0,
            "usual_decisions": 77.0,
            "planned_share": 1.0,
            "quality": poor,
        },
    )


def _materialise(home: Path, asset: str, config: Config) -> bool:
    environ = {"PATH": str(DAGSTER.parent), "DAGSTER_HOME": str(home), "RR_VAULT": str(home / "vault")}
    words = ("asset", "materialize", "-m", "rr_assets", "--select", asset, "--partition", config.key)
    done = subprocess.run(
        [DAGSTER, *words], cwd=ROOT, env=environ | {"RR_SETTINGS": str(TINY)}, capture_output=True, check=False
    )
    return done.returncode == 0


@pytest.mark.timeout(600)
def test_live_loop(home: Path) -> None:
    vault = Vault.open(str(home / "vault"))
    let_rest(vault, but=[BAD.key])
    _plant_poor_games(vault, BAD)
    with (
        dagster_dev(home, ("make", "ui"), RR_SETTINGS=str(TINY), **WHOLE) as dev,
        dg.DagsterInstance.from_config(str(home)) as instance,
    ):

        def times(asset: str, config: Config) -> int:
            wanted = dg.AssetRecordsFilter(dg.AssetKey(asset), asset_partitions=[config.key])
            return len(instance.fetch_materializations(wanted, limit=50).records)

        def has_come_round() -> bool:
            return all(times(asset, HEX) for asset in LOOP) and _games_after_a_dataset(instance, vault, HEX)

        assert _served(dev) == {key.path[-1] for key in code_location().resolve_asset_graph().materializable_asset_keys}
        assert not _materialise(home, "npz_dataset", BAD)
        assert _materialise(home, "games_db", HEX)  # while it rests: no run of the platform does the same meanwhile
        pauses.resume(vault, HEX, "there are games", by="hand")
        began = time.monotonic()
        _wait(has_come_round, began + ONE_TURN_S)
        assert times("npz_dataset", BAD) >= 1
        assert times("checkpoint", BAD) == 0
        blocked = fleet.newest_plan(vault)[BAD.key]
        assert "refused in a row: quality" in blocked["reason"]
        _wait(lambda: times("games_db", BAD) >= 1, began + ONE_TURN_S)  # a refused dataset asks for games
        refused = vault.cards(dataset.KIND, BAD.key)
        assert times("games_db", BAD) <= len(refused)  # once for each that was refused
        touched = {run.tags["dagster/partition"] for run in instance.get_runs() if "dagster/partition" in run.tags}
        assert touched == {HEX.key, BAD.key}
        assert _ticks_that_failed(dev) == []
        until_it_answers(f"{dev.play}/boards")
        let_rest(vault)
        _wait(lambda: not instance.get_runs(dg.RunsFilter(statuses=list(UNDER_WAY))), time.monotonic() + ONE_TURN_S)
        assert dev.stop() == []


def _served(dev: Dev) -> set[str]:
    """The assets that the pages can materialise."""
    nodes = dev.ask("{ assetNodes { assetKey { path } isMaterializable } }")["assetNodes"]
    return {node["assetKey"]["path"][-1] for node in nodes if node["isMaterializable"]}


def _ticks_that_failed(dev: Dev) -> list[str]:
    """What went wrong in any tick of any sensor; each has ticked at least once."""
    query = """{ sensorsOrError(repositorySelector:
        {repositoryName: "__repository__", repositoryLocationName: "rr_assets"}) { ... on Sensors { results {
        name sensorState { ticks(limit: 100) { status error { message } } } } } } }"""
    sensors = dev.ask(query)["sensorsOrError"]["results"]
    ticks = {sensor["name"]: sensor["sensorState"]["ticks"] for sensor in sensors}
    assert set(ticks) == {sensor.name for sensor in automation.SENSORS} and all(ticks.values())
    return [f"{name}: {tick['error']}" for name, seen in ticks.items() for tick in seen if tick["status"] == "FAILURE"]


def _games_after_a_dataset(instance: dg.DagsterInstance, vault: Vault, config: Config) -> bool:
    """Whether games were made in a run that began after the plan had granted them for a dataset of the config."""
    wanted = dg.AssetRecordsFilter(automation.SELFPLAY_BUDGET.key, asset_partitions=[config.key])
    datasets = {card.sha256 for card in vault.cards(dataset.KIND, config.key)}
    granted = [
        event.timestamp
        for event in instance.fetch_materializations(wanted, limit=50).records
        if event.asset_materialization is not None and event.asset_materialization.metadata["granted"].value in datasets
    ]
    made = dg.RunsFilter(tags={writes_tag("games_db"): config.key}, statuses=[dg.DagsterRunStatus.SUCCESS])
    runs = instance.get_run_records(filters=made)
    return bool(granted) and any(run.create_timestamp.timestamp() > min(granted) for run in runs)


def _wait(holds: Callable[[], bool], deadline: float) -> None:
    while not holds():
        assert time.monotonic() < deadline, "the loop did not come round in time"
        time.sleep(1)
