"""When anything runs: every condition, sensor and budget of the loop. Knows no stage and judges nothing.

The cycle closes without an edge. An asset follows its inputs; training follows a dataset that is ready for it; games
follow the go-ahead that the plan writes down for one partition, an event of `SELFPLAY_BUDGET`, because Dagster sees
events and not numbers. What crashed is asked for again only after an event of one of `RETRY_BUDGETS`, which a sensor
grants a few times. `any_deps_match(newly_updated())` keeps an update that comes between a request and its run, where
`any_deps_updated()` loses it.
"""

import json
import time
from collections import Counter
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import dagster as dg

from rr_assets.coordinator import BUDGET_NAME, PARTITION_TAG, WORK_TAG, under_way
from rr_assets.endings import ended_runs
from rr_assets.nodes import GPU, Gpu, Node, code_version
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import AlertResource, NodesResource, SettingsResource, VaultResource
from rr_engine.boards import CONFIGS, Config
from rr_engine.errors import VaultError
from rr_engine.selfplay.idle import Backoff
from rr_engine.settings import Settings
from rr_engine.stages import fleet, pauses
from rr_engine.vault import Vault
from rr_engine.vault.capacity import Level, capacity_of

_RUN_KEY_TAG = "dagster/run_key"

_AC = dg.AutomationCondition

SELFPLAY_BUDGET = dg.AssetSpec(
    BUDGET_NAME,
    description="The plan's go-ahead for the next games of a config: an event, no data.",
    partitions_def=CONFIG_PARTITIONS,
    group_name="steering",
    owners=["team:ringrift"],
    kinds={"json"},
)
RETRY_BUDGETS = {
    asset: dg.AssetSpec(
        dg.AssetKey(["retry_budget", asset]),
        description=f"Leave to try {asset} of a config once more after a crash: an event, no data.",
        partitions_def=CONFIG_PARTITIONS,
        group_name="steering",
        owners=["team:ringrift"],
        kinds={"json"},
    )
    for asset in ("games_db", "npz_dataset", "checkpoint", "elo", "champion", "curriculum")
}

FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24))  # of all configs together; checks judge each
FRESH_SECOND = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=48))  # of the second vault, if there is one

_NEW_INPUT = _AC.any_deps_match(_AC.newly_updated()).since(_AC.newly_requested())
_UNMADE = _AC.missing().newly_true().since(_AC.newly_requested() | _AC.newly_updated())
_FIRST = _UNMADE & ~_AC.any_deps_match(_AC.missing())  # of inputs that may be older than the daemon


def _retried(asset: str) -> dg.AutomationCondition:
    """It has crashed, and got leave to try again."""
    leave = _AC.asset_matches(RETRY_BUDGETS[asset].key, _AC.newly_updated())
    return _AC.execution_failed() & leave.since(_AC.newly_requested() | _AC.newly_updated())


_MAY = (
    ~_AC.any_deps_missing() & _AC.all_deps_blocking_checks_passed() & ~_AC.any_deps_in_progress() & ~_AC.in_progress()
)
_NEW_DATASET = (  # which asks for the go-ahead: games wait for its plan
    _AC.any_deps_match(_AC.newly_updated()).allow(dg.AssetSelection.assets("npz_dataset")).since(_AC.newly_requested())
)
_EACH_MINUTE = _AC.cron_tick_passed("* * * * *").since(_AC.newly_requested())

ON_GAMES = ((_NEW_INPUT | _FIRST | _retried("npz_dataset")) & _MAY).with_label("new games, sound")
ON_TRAINABLE_DATA = (
    (_NEW_INPUT | _FIRST | _retried("checkpoint")) & _MAY & _AC.all_deps_match(_AC.all_checks_match(_AC.check_passed()))
).with_label("a dataset that is sound and holds enough new samples")
ON_CANDIDATE = ((_NEW_INPUT | _FIRST | _retried("elo")) & _MAY).with_label("a new candidate, sound")
_WITH_INPUTS = _AC.any_deps_updated().since_last_handled()
ON_EVALUATION = ((_WITH_INPUTS | _retried("champion")) & _MAY).with_label("a new evaluation, sound")
ON_CHAMPION = ((_WITH_INPUTS | _retried("curriculum")) & _MAY).with_label("the champion was decided on")
ON_GO_AHEAD = (
    (_AC.asset_matches(SELFPLAY_BUDGET.key, _AC.newly_updated()).since(_AC.newly_requested()) | _retried("games_db"))
    & ~_AC.in_progress()
).with_label("the plan gave its go-ahead")
ON_FACTS = (
    (
        _UNMADE
        | _NEW_DATASET
        | (_NEW_INPUT | _AC.cron_tick_passed("*/15 * * * *").since(_AC.newly_requested())) & _EACH_MINUTE
    )
    & ~_AC.in_progress()
).with_label("a new dataset, other facts at most once a minute, and every 15 minutes")
WITH_PLAN = (
    _AC.any_deps_updated().since_last_handled() & _AC.any_deps_match(_AC.will_be_requested()) & ~_AC.in_progress()
).with_label("with a new plan")


def _sensor(name: str, *assets: str, lane: str) -> dg.AutomationConditionSensorDefinition:
    """One sensor per run that must stand apart: what a sensor asks for at once goes into one run."""
    return dg.AutomationConditionSensorDefinition(
        name,
        target=dg.AssetSelection.assets(*assets),
        run_tags={"rr/lane": lane},
        emit_backfills=False,  # a backfill would wait for the slowest of its partitions
        minimum_interval_seconds=5,
        default_status=dg.DefaultSensorStatus.RUNNING,
    )


@dg.sensor(
    name="budget_crashes",
    minimum_interval_seconds=30,
    default_status=dg.DefaultSensorStatus.RUNNING,
    target=dg.AssetSelection.assets("selfplay_plan"),
)
def budget_crashes(
    context: dg.SensorEvaluationContext, vault: VaultResource, settings: SettingsResource, alert: AlertResource
) -> dg.RunRequest | dg.SkipReason:
    """Lets what crashed be tried again, and pauses a config after too many crashes of an asset in a row.

    Whenever a pause begins or ends, also by hand, it asks for a new plan.
    """
    loaded = settings.load()
    opened = vault.open(loaded).snapshot()
    if (capacity := opened.capacity()).level is Level.REFUSE:
        return dg.SkipReason(f"nothing can be written down: {capacity.reason}")
    cursor: dict[str, Any] = {"handled": {}, "paused": None} | json.loads(context.cursor or "{}")
    budgets = _Budgets(context, opened, loaded, cursor["handled"])
    paused: list[str] = []
    for config in CONFIGS:
        was_paused = config.key in (cursor["paused"] or ())
        try:
            is_paused = budgets.deal_with(config, was_paused=was_paused)
        except VaultError as error:  # its cards are damaged: the other configs are dealt with all the same
            budgets.told.append(f"{config.key}: {error}")
            is_paused = was_paused
        paused += [config.key] * is_paused
    context.update_cursor(json.dumps({"handled": cursor["handled"], "paused": paused}))
    if budgets.pauses:
        alert.send("; ".join(budgets.pauses), loaded, context.log)
    told = "; ".join(budgets.told) or "no crash to deal with"
    if cursor["paused"] in (None, paused):
        return dg.SkipReason(told)
    return dg.RunRequest(tags={"rr/reason": f"paused now: {', '.join(paused) or 'nobody'}"})


@dataclass
class _Budgets:
    """One tick of `budget_crashes`."""

    context: dg.SensorEvaluationContext
    vault: Vault
    settings: Settings
    handled: dict[str, str]  # config/asset -> the run after which leave was given, or a pause begun
    told: list[str] = field(default_factory=list[str])
    pauses: list[str] = field(default_factory=list[str])  # those of it that somebody should look at

    def deal_with(self, config: Config, *, was_paused: bool) -> bool:
        """Resume, retry or pause a config; whether it is paused afterwards. Raises VaultError."""
        known = ended_runs(self.context.instance, config)
        ended = {asset: known[asset] for asset in RETRY_BUDGETS if asset in known}  # steps of checks are none
        now = time.time()
        budgets = {asset: pauses.crash_budget(runs, self.settings.crash, now) for asset, runs in ended.items()}
        crashing = [asset for asset, budget in budgets.items() if budget is pauses.Budget.PAUSE]
        pause = pauses.pause_of(self.vault, config)
        if pause is not None and pause.by == "crashes" and not crashing:
            pauses.resume(self.vault, config, "what had crashed succeeded", by="success")
            self.told.append(f"{config.key} goes on: what had crashed succeeded")
        elif pause is not None:
            return True
        for asset, budget in budgets.items():
            run = ended[asset][0].run
            is_new = self.handled.get(f"{config.key}/{asset}") != run
            if budget is pauses.Budget.PAUSE and is_new:
                self._pause(config, asset, run)
                return True
            if (budget is pauses.Budget.RETRY and is_new) or (budget is pauses.Budget.PAUSE and was_paused):
                self._retry(config, asset, run)
        return False

    def _pause(self, config: Config, asset: str, run: str) -> None:
        reason = f"{self.settings.crash.in_a_row} crashes of {asset} in a row, the last in run {run}"
        pauses.pause(self.vault, config, reason, by="crashes")
        self.handled[f"{config.key}/{asset}"] = run
        self.pauses.append(f"{config.key} pauses: {reason}")
        self.told.append(self.pauses[-1])

    def _retry(self, config: Config, asset: str, run: str) -> None:
        """Give leave, unless somebody is at it already, there is no room, or it is games of a config that rests."""
        if under_way(self.context.instance, asset, config.key) or not self.vault.capacity().allows_more:
            return
        if asset == "games_db" and fleet.why_rests(self.vault, config, self.settings):
            return
        event = dg.AssetMaterialization(
            RETRY_BUDGETS[asset].key, partition=config.key, metadata={"crashed": dg.MetadataValue.dagster_run(run)}
        )
        self.context.instance.report_runless_asset_event(event)
        self.handled[f"{config.key}/{asset}"] = run
        self.told.append(f"{config.key} may try {asset} again after run {run}")


@dg.sensor(
    name="watch_disk",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    target=dg.AssetSelection.assets("selfplay_plan"),
)
def watch_disk(
    context: dg.SensorEvaluationContext,
    vault: VaultResource,
    settings: SettingsResource,
    nodes: NodesResource,
    alert: AlertResource,
) -> dg.RunRequest | dg.SkipReason:
    """Tells when a disk gets full, the vault's or a node's, and lets the plan pause or resume the producers.

    A worker whose own disk is too full takes no runs until it has room.
    """
    loaded = settings.load()
    stored = vault.open(loaded).capacity()
    disks = {"vault": stored}
    for node in nodes.read(context.instance, loaded):
        disks[node.name] = capacity_of(node.name, node.disk_used, loaded.vault)
    before: dict[str, str] = json.loads(context.cursor or "{}")
    context.update_cursor(json.dumps({name: disk.level.value for name, disk in disks.items()}))
    changed = [disk for name, disk in disks.items() if disk.level != before.get(name, Level.FREE)]
    if changed:
        alert.send("; ".join(disk.reason for disk in changed), loaded, context.log)
    if stored not in changed:
        return dg.SkipReason("; ".join(disk.reason for disk in changed or disks.values()))
    return dg.RunRequest(tags={"rr/reason": stored.reason})


@dg.sensor(
    name="use_idle_gpu",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    target=dg.AssetSelection.assets("games_db"),
)
def use_idle_gpu(
    context: dg.SensorEvaluationContext, vault: VaultResource, settings: SettingsResource, nodes: NodesResource
) -> dg.SensorResult | dg.SkipReason:
    """Gives every GPU that does nothing the games the plan wants most; waits after launches that failed."""
    loaded = settings.load()
    opened = vault.open(loaded).snapshot()
    idle = _Idle(context, loaded)
    least = {node.name: idle.gpu_of(node) for node in nodes.read(context.instance, loaded) if node.lane == GPU}
    free = {name: gpu for name, gpu in least.items() if isinstance(gpu, Gpu)}
    if not free:
        return idle.end([], "; ".join(str(why) for why in least.values()) or "no worker for GPUs answers")
    if not fleet.newest_plan(opened):
        return idle.end([], "there is no plan yet")
    playing = Counter(run.dagster_run.tags.get(PARTITION_TAG, "") for run in under_way(context.instance, "games_db"))
    requests: list[dg.RunRequest] = []
    for name, gpu in free.items():
        choice = fleet.choose_for_gpu(opened, loaded, free_gb=gpu.free_gb, playing=playing)
        if choice is None:
            return idle.end([], "every config rests")
        playing[choice.config] += 1
        tags = {"rr/reason": f"{gpu.name} of {name} at {gpu.use:.0%}: {choice.reason}"}
        requests.append(dg.RunRequest(run_key=f"idle-{uuid4()}", partition_key=choice.config, tags=tags))
        idle.launched(name, requests[-1])
    return idle.end(requests, "")


class _Idle:
    """One tick of `use_idle_gpu`: which nodes do nothing, and how launches for them went."""

    def __init__(self, context: dg.SensorEvaluationContext, settings: Settings) -> None:
        self._context = context
        self._settings = settings
        queued = [dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTING]
        waiting = context.instance.get_runs(dg.RunsFilter(tags={"rr/lane": GPU}, statuses=queued))
        self._waiting = {run.tags.get(WORK_TAG, "") for run in waiting}
        known = {name: Backoff(**fields) for name, fields in json.loads(context.cursor or "{}").items()}
        self._launches = {name: self._followed(launch) for name, launch in known.items()}

    def gpu_of(self, node: Node) -> Gpu | str:
        """The least used GPU of a node that is to get games, or why it gets none."""
        if node.role == "coordinator":
            return f"{node.name} is a coordinator: it plays no games"
        if not node.gpus:
            return f"{node.name}: {node.why_no_gpu}"
        if node.code != code_version():
            return f"{node.name} has other code"
        least = min(node.gpus, key=lambda gpu: (gpu.use, -gpu.free_gb))
        if least.use >= self._settings.idle.below:
            return f"no GPU of {node.name} is idle: the least used one is at {least.use:.0%}"
        if node.runs or self._waiting & set(node.takes):
            return f"{least.name} of {node.name} is at {least.use:.0%}, a run for it is under way"
        launch = self._launches.get(node.name, Backoff())
        if (left := launch.until - time.time()) > 0:
            return f"{launch.failures} launches failed in a row on {node.name}: the next one in {left:.0f} s"
        return least

    def launched(self, node: str, request: dg.RunRequest) -> None:
        """Remember a run that was asked for because of a node."""
        self._launches[node] = replace(self._launches.get(node, Backoff()), run=request.run_key or "")

    def end(self, requests: list[dg.RunRequest], why: str) -> dg.SensorResult | dg.SkipReason:
        """What the sensor yields, its cursor written."""
        self._context.update_cursor(json.dumps({name: asdict(launch) for name, launch in self._launches.items()}))
        return dg.SensorResult(run_requests=requests) if requests else dg.SkipReason(why)

    def _followed(self, launch: Backoff) -> Backoff:
        """The same, with the last launch counted if it has ended."""
        if not launch.run:
            return launch
        found = self._context.instance.get_run_records(dg.RunsFilter(tags={_RUN_KEY_TAG: launch.run}), limit=1)
        if not found or found[0].end_time is None:
            return launch
        failed = found[0].dagster_run.status == dg.DagsterRunStatus.FAILURE
        return launch.ended(failed=failed, at=found[0].end_time, settings=self._settings.idle)


SENSORS = (
    _sensor("start_games", "games_db", lane="gpu"),
    _sensor("start_training", "checkpoint", lane="gpu"),
    _sensor("start_dataset", "npz_dataset", lane="cpu"),
    _sensor("start_evaluation", "elo", "champion", "curriculum", lane="cpu"),
    _sensor("start_planning", "selfplay_plan", "leaderboard", lane="cpu"),
    budget_crashes,
    watch_disk,
    use_idle_gpu,
)


@dg.schedule(
    name="mirror_daily",
    cron_schedule="0 4 * * *",
    target=dg.AssetSelection.assets("mirror"),
    default_status=dg.DefaultScheduleStatus.RUNNING,
)
def mirror_daily(settings: SettingsResource) -> dg.RunRequest | dg.SkipReason:
    """Brings the second vault up to date once a day, if the settings name one."""
    to = settings.load().mirror.to
    return dg.RunRequest() if to else dg.SkipReason("mirror.to names no second vault")


SCHEDULES = (mirror_daily,)

JOBS = (
    dg.define_asset_job(
        "selfplay",
        dg.AssetSelection.assets("games_db"),
        description="Games of one config, now, whatever the plan says.",
        tags={"rr/lane": "gpu"},
    ),
    dg.define_asset_job(
        "turn",
        dg.AssetSelection.assets("games_db", "npz_dataset", "checkpoint", "elo", "champion", "curriculum"),
        description="One whole turn of the loop for one config in a single run.",
        tags={"rr/lane": "gpu"},
    ),
)
