"""The graph as a literal: keys, dependencies, partitions, checks, pools. A change here is a change of the contract."""

from typing import Any

import pytest

from rr_assets import code_location
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
}
NOT_PARTITIONED = {"selfplay_plan", "leaderboard"}
BLOCKING_CHECKS = {
    "games_db": {"every_game_replays", "games_are_whole_and_distinct"},
    "npz_dataset": {"schema_and_ranges_hold"},
    "checkpoint": {"weights_are_finite_and_reload"},
    "elo": {"enough_distinct_games"},
    "champion": {"champion_loads_and_plays"},
    "curriculum": {"curriculum_is_bounded"},
    "selfplay_plan": {"every_config_is_planned"},
}


@pytest.fixture(scope="module")
def graph() -> Any:
    return code_location().resolve_asset_graph()


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


def test_checks_block_and_are_partitioned(graph: Any) -> None:
    found: dict[str, set[str]] = {}
    for key in graph.asset_check_keys:
        node = graph.get(key)
        asset = key.asset_key.to_user_string()
        found.setdefault(asset, set()).add(key.name)
        assert node.blocking
        assert node.partitions_def == (None if asset in NOT_PARTITIONED else CONFIG_PARTITIONS)
    assert found == BLOCKING_CHECKS


def test_every_asset_tells_who_and_what_it_is(graph: Any) -> None:
    for key in graph.materializable_asset_keys:
        node = graph.get(key)
        assert node.description
        assert node.group_name in {"games", "learning", "strength", "steering"}
        assert node.owners
        assert node.kinds
        assert node.code_version
        assert node.pools
