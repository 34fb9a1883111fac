"""When anything runs: every condition, tick by tick, on events as runs leave them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from rr_assets import automation
from rr_assets.partitions import CONFIG_PARTITIONS

HEX, SQUARE = "hex8_2p", "square8_2p"
FAILING: set[tuple[str, str]] = set()  # (check or asset, partition) that fails when it runs


def _asset(name: str, *deps: str, condition: dg.AutomationCondition, partitioned: bool = True) -> dg.AssetsDefinition:
    @dg.asset(
        name=name,
        deps=list(deps),
        partitions_def=CONFIG_PARTITIONS if partitioned else None,
        automation_condition=condition,
    )
    def made(context: dg.AssetExecutionContext) -> None:
        if (name, context.run.tags.get("dagster/partition", "")) in FAILING:
            raise RuntimeError("crashed")

    return made


def _check(asset: str, name: str, *, blocking: bool) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=asset, name=name, partitions_def=CONFIG_PARTITIONS, blocking=blocking)
    def holds(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=(name, context.run.tags["dagster/partition"]) not in FAILING)

    return holds


class Platform:
    """The graph's shape and triggers over stages that do nothing; ticks of all its conditions together."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        self.assets = {
            "games_db": _asset("games_db", condition=automation.ON_GO_AHEAD),
            "npz_dataset": _asset("npz_dataset", "games_db", condition=automation.ON_GAMES),
            "checkpoint": _asset("checkpoint", "npz_dataset", condition=automation.ON_TRAINABLE_DATA),
            "elo": _asset("elo", "checkpoint", condition=automation.ON_CANDIDATE),
            "champion": _asset("champion", "elo", condition=automation.ON_EVALUATION),
            "curriculum": _asset("curriculum", "champion", condition=automation.ON_CHAMPION),
            "selfplay_plan": _asset(
                "selfplay_plan", "npz_dataset", "elo", "curriculum", condition=automation.ON_FACTS, partitioned=False
            ),
            "leaderboard": _asset(
                "leaderboard", "champion", "selfplay_plan", condition=automation.WITH_PLAN, partitioned=False
            ),
        }
        self.checks = {
            "every_game_replays": _check("games_db", "every_game_replays", blocking=True),
            "quality_passes_the_gate": _check("npz_dataset", "quality_passes_the_gate", blocking=True),
            "trainable": _check("npz_dataset", "trainable", blocking=False),
            "losses_are_usual": _check("checkpoint", "losses_are_usual", blocking=False),
        }
        self.defs = dg.Definitions(
            [*self.assets.values(), automation.SELFPLAY_BUDGET, *automation.RETRY_BUDGETS.values()],
            asset_checks=[*self.checks.values()],
        )
        self.now = datetime(2026, 1, 1, 12, 1, 30, tzinfo=UTC)
        self._cursor: Any = None
        self.first = self.tick()

    def tick(self, *, later: float = 5.0) -> set[tuple[str, str]]:
        """(asset, partition) asked for, `later` seconds after the last tick; an asset without partitions has none."""
        self.now += timedelta(seconds=later)
        result = dg.evaluate_automation_conditions(
            self.defs, self.instance, cursor=self._cursor, evaluation_time=self.now
        )
        self._cursor = result.cursor
        return {
            (name, partition) for name, asset in self.assets.items() for partition in self._requested(result, asset)
        }

    def _requested(self, result: Any, asset: dg.AssetsDefinition) -> set[str]:
        if asset.partitions_def is None:
            return {""} if result.get_num_requested(asset.key) else set()
        return result.get_requested_partitions(asset.key)

    def run(self, *names: str, config: str | None = None) -> None:
        """Run assets with their checks, as one run."""
        chosen = [self.assets[name] for name in names]
        checks = [check for check in self.checks.values() if check.check_key.asset_key.to_user_string() in names]
        dg.materialize(
            [*chosen, *checks, *(asset for name, asset in self.assets.items() if name not in names)],
            selection=dg.AssetSelection.assets(*names),
            partition_key=config,
            instance=self.instance,
            raise_on_error=False,
        )

    def grant(self, budget: dg.AssetSpec, config: str) -> None:
        """An event of `budget`."""
        self.instance.report_runless_asset_event(dg.AssetMaterialization(budget.key, partition=config))


@pytest.fixture
def platform() -> Iterator[Platform]:
    FAILING.clear()
    with dg.DagsterInstance.ephemeral() as instance:
        yield Platform(instance)


def test_an_empty_platform_plans_first_and_once(platform: Platform) -> None:
    assert platform.first == {("selfplay_plan", "")}
    assert platform.tick() == set()


def only(asked: set[tuple[str, str]]) -> set[tuple[str, str]]:
    """Without the plan and its page."""
    return {(name, config) for name, config in asked if config}


def test_the_loop_turns_for_its_own_partition_and_comes_round(platform: Platform) -> None:
    platform.run("games_db", config=HEX)
    for asset in ("npz_dataset", "checkpoint"):
        assert only(platform.tick()) == {(asset, HEX)}
        assert only(platform.tick()) == set()
        platform.run(asset, config=HEX)
    assert only(platform.tick()) == {("elo", HEX), ("champion", HEX), ("curriculum", HEX)}
    platform.run("elo", "champion", "curriculum", config=HEX)
    assert only(platform.tick()) == set()
    platform.grant(automation.SELFPLAY_BUDGET, HEX)
    assert only(platform.tick()) == {("games_db", HEX)}
    assert only(platform.tick()) == set()


def test_games_need_the_go_ahead_of_their_own_partition(platform: Platform) -> None:
    platform.grant(automation.SELFPLAY_BUDGET, SQUARE)
    assert only(platform.tick()) == {("games_db", SQUARE)}
    platform.run("selfplay_plan")
    platform.run("champion", config=HEX)
    assert ("games_db", HEX) not in platform.tick()


def test_games_that_fail_their_check_go_nowhere(platform: Platform) -> None:
    FAILING.add(("every_game_replays", HEX))
    platform.run("games_db", config=HEX)
    platform.run("games_db", config=SQUARE)
    assert only(platform.tick()) == {("npz_dataset", SQUARE)}


@pytest.mark.parametrize("check", ["quality_passes_the_gate", "trainable"])
def test_a_refused_or_unready_dataset_trains_nobody_until_the_next_one(platform: Platform, check: str) -> None:
    FAILING.add((check, HEX))
    for _ in range(3):
        platform.run("npz_dataset", config=HEX)
        platform.run("npz_dataset", config=SQUARE)
        assert only(platform.tick()) - {("checkpoint", SQUARE)} == set()
    FAILING.clear()
    platform.run("npz_dataset", config=HEX)
    assert ("checkpoint", HEX) in platform.tick()


def test_what_only_warns_stops_nothing(platform: Platform) -> None:
    FAILING.add(("losses_are_usual", HEX))
    platform.run("checkpoint", config=HEX)
    assert ("elo", HEX) in platform.tick()


def test_games_that_land_while_a_dataset_is_asked_for_are_not_lost(platform: Platform) -> None:
    platform.run("games_db", config=HEX)
    assert only(platform.tick()) == {("npz_dataset", HEX)}
    platform.run("games_db", config=HEX)  # between the request and its run
    platform.run("npz_dataset", config=HEX)
    assert ("npz_dataset", HEX) in platform.tick()


def test_what_lay_there_before_the_daemon_first_ran_is_taken_up(platform: Platform) -> None:
    platform.run("games_db", "npz_dataset", config=HEX)
    platform.run("games_db", config=SQUARE)
    platform = Platform(platform.instance)  # a daemon that has seen none of it
    assert only(platform.first) == {("checkpoint", HEX), ("npz_dataset", SQUARE)}
    platform.run("npz_dataset", config=SQUARE)
    assert only(platform.tick()) == {("checkpoint", SQUARE)}
    platform.run("checkpoint", config=HEX)
    platform.run("checkpoint", config=SQUARE)
    assert {name for name, _ in only(platform.tick())} == {"elo", "champion", "curriculum"}


def test_a_crash_is_tried_again_only_with_leave(platform: Platform) -> None:
    platform.run("games_db", config=HEX)
    assert only(platform.tick()) == {("npz_dataset", HEX)}
    FAILING.add(("npz_dataset", HEX))
    platform.run("npz_dataset", config=HEX)
    for _ in range(3):
        assert only(platform.tick(later=3600)) == set()
    platform.grant(automation.RETRY_BUDGETS["npz_dataset"], SQUARE)
    assert only(platform.tick()) == set()
    platform.grant(automation.RETRY_BUDGETS["npz_dataset"], HEX)
    assert only(platform.tick()) == {("npz_dataset", HEX)}
    FAILING.clear()
    platform.run("npz_dataset", config=HEX)
    assert only(platform.tick()) == {("checkpoint", HEX)}


@pytest.mark.parametrize("crashed", ["champion", "curriculum"])
def test_what_crashed_after_an_evaluation_is_tried_again_too(platform: Platform, crashed: str) -> None:
    FAILING.add((crashed, HEX))
    platform.run("checkpoint", config=HEX)
    assert ("elo", HEX) in platform.tick()
    platform.run("elo", "champion", "curriculum", config=HEX)
    assert only(platform.tick(later=3600)) == set()
    FAILING.clear()
    platform.grant(automation.RETRY_BUDGETS[crashed], HEX)
    assert (crashed, HEX) in platform.tick()


def test_leave_for_one_asset_is_none_for_another(platform: Platform) -> None:
    FAILING.update({("games_db", HEX), ("elo", HEX)})
    platform.grant(automation.SELFPLAY_BUDGET, HEX)
    assert only(platform.tick()) == {("games_db", HEX)}
    platform.run("games_db", config=HEX)
    platform.run("checkpoint", config=HEX)
    platform.tick()
    platform.run("elo", config=HEX)
    platform.tick()
    platform.grant(automation.RETRY_BUDGETS["elo"], HEX)
    assert {name for name, _ in only(platform.tick())} <= {"elo", "champion", "curriculum"}
    platform.grant(automation.RETRY_BUDGETS["games_db"], HEX)
    assert ("games_db", HEX) in platform.tick()


def test_leave_without_a_crash_starts_nothing(platform: Platform) -> None:
    platform.run("games_db", config=HEX)
    platform.tick()
    platform.run("npz_dataset", config=HEX)
    platform.tick()
    platform.grant(automation.RETRY_BUDGETS["npz_dataset"], HEX)
    assert only(platform.tick()) == set()


FLEET = {("selfplay_plan", ""), ("leaderboard", "")}


def test_the_plan_follows_other_facts_at_most_once_a_minute_and_its_page_with_it(platform: Platform) -> None:
    platform.run("selfplay_plan")
    platform.run("leaderboard")
    platform.run("curriculum", config=HEX)
    assert FLEET & platform.tick() == set()  # within the minute of the first plan
    assert FLEET & platform.tick(later=60) == FLEET
    platform.run("selfplay_plan", "leaderboard")
    assert FLEET & platform.tick(later=60) == set()
    asked = [FLEET & platform.tick(later=60) for _ in range(16)]
    assert asked.count(FLEET) == 1  # each quarter of an hour, whatever happens


def test_the_plan_answers_a_dataset_at_once_and_once(platform: Platform) -> None:
    platform.run("selfplay_plan")
    platform.run("leaderboard")
    assert platform.tick() == set()
    for _ in range(2):
        platform.run("npz_dataset", config=HEX)
        assert FLEET & platform.tick() == FLEET
        assert FLEET & platform.tick() == set()
        platform.run("selfplay_plan", "leaderboard")
        assert FLEET & platform.tick() == set()
