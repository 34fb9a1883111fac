"""The graph as a literal: keys, dependencies, partitions, checks, triggers; to change it is to change the contract."""

from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository

from rr_assets import automation, code_location
from rr_assets.partitions import CONFIG_PARTITIONS

EDGES = {
    "games_db": set(),
    "npz_dataset": {"games_db"},
    "checkpoint": {"npz_dataset"},
    "elo": {"checkpoint"},
    "champion": {"elo"},
    "curriculum": {"champion"},
    "selfplay_plan": {"npz_dataset", "elo", "curriculum"},
    "leaderboard": {"champion", "selfplay_plan"},
    "mirror": set(),
}
NOT_PARTITIONED = {"selfplay_plan", "leaderboard", "mirror"}
BLOCKING_CHECKS = {
    "games_db": {"every_game_replays", "games_are_whole_and_distinct"},
    "npz_dataset": {"schema_and_ranges_hold", "data_is_fresh", "quality_passes_the_gate"},
    "checkpoint": {"weights_are_finite_and_reload"},
    "elo": {"enough_distinct_games"},
    "champion": {"champion_loads_and_plays"},
    "curriculum": {"curriculum_is_bounded"},
    "selfplay_plan": {"every_config_is_planned"},
}
OTHER_CHECKS = {
    "games_db": {"quality_is_high"},
    "npz_dataset": {"trainable"},  # and no other: training waits for every check of its dataset
    "checkpoint": {"losses_are_usual"},
    "elo": {"candidate_is_no_regression"},
    "champion": {"champion_is_no_regression"},
    "mirror": {"second_vault_holds_everything"},
}
TRIGGERS = {
    "games_db": "the plan gave its go-ahead",
    "npz_dataset": "new games, sound",
    "checkpoint": "a dataset that is sound and holds enough new samples",
    "elo": "a new candidate, sound",
    "champion": "a new evaluation, sound",
    "curriculum": "the champion was decided on",
    "selfplay_plan": "a new dataset, other facts at most once a minute, and every 15 minutes",
    "leaderboard": "with a new plan",
}
SCHEDULED = {"mirror_daily": ("mirror", "0 4 * * *")}  # what no condition asks for
STARTED_BY = {
    "start_games": {"games_db"},
    "start_training": {"checkpoint"},
    "start_dataset": {"npz_dataset"},
    "start_evaluation": {"elo", "champion", "curriculum"},
    "start_planning": {"selfplay_plan", "leaderboard"},
}


@pytest.fixture(scope="module")
def graph() -> Any:
    return code_location().resolve_asset_graph()


def test_a_worker_loads_the_graph_once_for_runs_of_any_assets(monkeypatch: pytest.MonkeyPatch) -> None:
    code_location()
    monkeypatch.setattr(dg, "load_from_defs_folder", lambda **_: pytest.fail("loaded once more"))
    every = ReconstructableRepository.for_module("rr_assets", "code_location").get_reconstructable_job("__ASSET_JOB")
    for name in ("games_db", "elo"):
        job = every.get_subset(asset_selection={dg.AssetKey(name)}).get_definition()
        assert name in job.graph.node_names()


def test_every_edge_is_meant(graph: Any) -> None:
    edges = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.materializable_asset_keys
    }
    assert edges == EDGES


def test_one_partition_per_config(graph: Any) -> None:
    assert CONFIG_PARTITIONS.get_partition_keys() == [
        f"{board}_{players}p" for board in ("hex8", "square8", "square19", "hexagonal") for players in (2, 3, 4)
    ]
    for key in graph.materializable_asset_keys:
        expected = None if key.to_user_string() in NOT_PARTITIONED else CONFIG_PARTITIONS
        assert graph.get(key).partitions_def == expected


def test_checks_block_or_warn_and_are_partitioned(graph: Any) -> None:
    found: dict[bool, dict[str, set[str]]] = {True: {}, False: {}}
    for key in graph.asset_check_keys:
        node = graph.get(key)
        asset = key.asset_key.to_user_string()
        found[node.blocking].setdefault(asset, set()).add(key.name)
        assert node.partitions_def == (None if asset in NOT_PARTITIONED else CONFIG_PARTITIONS)
    assert found == {True: BLOCKING_CHECKS, False: OTHER_CHECKS}


def test_every_asset_has_its_one_trigger(graph: Any) -> None:
    conditions = {key.to_user_string(): graph.get(key).automation_condition for key in graph.materializable_asset_keys}
    assert {name: found.get_label() for name, found in conditions.items() if found} == TRIGGERS
    schedules = {}
    for schedule in code_location().schedules:
        (key,) = schedule.target.resolvable_to_job.selection.resolve(graph)
        schedules[schedule.name] = key.to_user_string(), schedule.cron_schedule
        assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING
    assert schedules == SCHEDULED
    assert {name for name, found in conditions.items() if not found} == {name for name, _ in SCHEDULED.values()}


def test_what_must_stand_apart_is_started_apart(graph: Any) -> None:
    sensors = [
        sensor for sensor in code_location().sensors if isinstance(sensor, dg.AutomationConditionSensorDefinition)
    ]
    found = {sensor.name: {key.to_user_string() for key in sensor.asset_selection.resolve(graph)} for sensor in sensors}
    assert found == STARTED_BY
    for sensor in sensors:
        lane = "gpu" if STARTED_BY[sensor.name] & {"games_db", "checkpoint"} else "cpu"
        assert sensor.run_tags["rr/lane"] == lane
        assert sensor.default_status is dg.DefaultSensorStatus.RUNNING
    others = {sensor.name for sensor in code_location().sensors} - set(found)
    assert others == {"budget_crashes", "watch_disk", "use_idle_gpu"}


def test_people_have_jobs_with_the_tags_of_automation() -> None:
    jobs = {job.name: job for job in code_location().jobs}
    assert set(jobs) == {"selfplay", "turn"}
    for job in jobs.values():
        assert job.tags["rr/lane"] == "gpu"
        assert code_location().resolve_job_def(job.name).partitions_def == CONFIG_PARTITIONS


def test_events_that_steer_are_external_assets(graph: Any) -> None:
    retries = [spec.key for spec in automation.RETRY_BUDGETS.values()]
    assert [key.path for key in retries] == [["retry_budget", name] for name in EDGES if name not in NOT_PARTITIONED]
    for key in (automation.SELFPLAY_BUDGET.key, *retries):
        node = graph.get(key)
        assert node.is_external
        assert node.partitions_def == CONFIG_PARTITIONS


def test_every_asset_tells_who_and_what_it_is(graph: Any) -> None:
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.description
        assert node.group_name in {"games", "learning", "strength", "steering", "storage"}
        assert node.owners
        assert node.kinds
        assert node.code_version
        assert node.pools
        assert node.freshness_policy
