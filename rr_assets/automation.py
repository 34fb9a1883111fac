"""When anything runs: every condition, sensor and budget of the loop. Knows no stage and judges nothing.

The cycle closes without an edge. An asset follows its inputs; training follows a dataset that is ready for it; games
follow the go-ahead that the plan writes down for one partition, an event of `SELFPLAY_BUDGET`, because Dagster sees
events and not numbers. What crashed is asked for again only after an event of `RETRY_BUDGET`, which a sensor grants a
few times. `any_deps_match(newly_updated())` keeps an update that comes between a request and its run, where
`any_deps_updated()` loses it.
"""

import json
import time
from dataclasses import asdict, replace
from datetime import timedelta
from uuid import uuid4

import dagster as dg

from rr_assets.coordinator import PARTITION_TAG, UNDER_WAY
from rr_assets.partitions import CONFIG_PARTITIONS
from rr_assets.resources import AlertResource, GpuResource, NoGpuError, SettingsResource, VaultResource
from rr_engine.boards import CONFIGS, Config
from rr_engine.selfplay.idle import Backoff
from rr_engine.settings import Settings
from rr_engine.stages import fleet, pauses
from rr_engine.vault.capacity import Level

_CHECK_FAILED = "DagsterAssetCheckFailedError"  # what a step ends with when a blocking check refuses
_RUN_KEY_TAG = "dagster/run_key"
_RUNS_SEEN = 12  # of a config, to count crashes among

_AC = dg.AutomationCondition

SELFPLAY_BUDGET = dg.AssetSpec(
    "selfplay_budget",
    description="The plan's go-ahead for the next games of a config: an event, no data.",
    partitions_def=CONFIG_PARTITIONS,
    group_name="steering",
    owners=["team:ringrift"],
    kinds={"json"},
)
RETRY_BUDGET = dg.AssetSpec(
    "retry_budget",
    description="Leave to try once more what crashed for a config: an event, no data.",
    partitions_def=CONFIG_PARTITIONS,
    group_name="steering",
    owners=["team:ringrift"],
    kinds={"json"},
)

FRESH = dg.FreshnessPolicy.time_window(fail_window=timedelta(hours=24))  # of all configs together; checks judge each

_NEW_INPUT = _AC.any_deps_match(_AC.newly_updated()).since(_AC.newly_requested())
_UNMADE = _AC.missing().newly_true().since(_AC.newly_requested() | _AC.newly_updated())
_FIRST = _UNMADE & ~_AC.any_deps_match(_AC.missing())  # of inputs that may be older than the daemon
_RETRIED = _AC.execution_failed() & _AC.asset_matches(RETRY_BUDGET.key, _AC.newly_updated()).since(
    _AC.newly_requested()
)
_MAY = (
    ~_AC.any_deps_missing() & _AC.all_deps_blocking_checks_passed() & ~_AC.any_deps_in_progress() & ~_AC.in_progress()
)
_NEW_DATASET = (  # which asks for the go-ahead: games wait for its plan
    _AC.any_deps_match(_AC.newly_updated()).allow(dg.AssetSelection.assets("npz_dataset")).since(_AC.newly_requested())
)
_EACH_MINUTE = _AC.cron_tick_passed("* * * * *").since(_AC.newly_requested())

ON_GAMES = ((_NEW_INPUT | _FIRST | _RETRIED) & _MAY).with_label("new games, sound")
ON_TRAINABLE_DATA = (
    (_NEW_INPUT | _FIRST | _RETRIED) & _MAY & _AC.all_deps_match(_AC.all_checks_match(_AC.check_passed()))
).with_label("a dataset that is sound and holds enough new samples")
ON_CANDIDATE = ((_NEW_INPUT | _FIRST | _RETRIED) & _MAY).with_label("a new candidate, sound")
ON_INPUTS = (_AC.any_deps_updated().since_last_handled() & _MAY).with_label("what it rests on is new")
ON_GO_AHEAD = (
    (_AC.asset_matches(SELFPLAY_BUDGET.key, _AC.newly_updated()).since(_AC.newly_requested()) | _RETRIED)
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


def _ended_runs(instance: dg.DagsterInstance, config: Config) -> list[pauses.Ended]:
    """The newest runs of a config that have ended, the last first."""
    wanted = dg.RunsFilter(
        tags={PARTITION_TAG: config.key}, statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
    )
    records = instance.get_run_records(filters=wanted, limit=_RUNS_SEEN)
    records = sorted(records, key=lambda record: record.end_time or 0.0, reverse=True)
    return [
        pauses.Ended(record.dagster_run.run_id, record.end_time or 0.0, _has_crashed(instance, record.dagster_run))
        for record in records
    ]


def _has_crashed(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether a run failed for another reason than a check that refused something."""
    if run.status != dg.DagsterRunStatus.FAILURE:
        return False
    failures = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
    errors = [entry.get_dagster_event().step_failure_data.error for entry in failures]
    return not errors or any(error is None or error.cls_name != _CHECK_FAILED for error in errors)


@dg.sensor(name="budget_crashes", minimum_interval_seconds=60, default_status=dg.DefaultSensorStatus.RUNNING)
def budget_crashes(
    context: dg.SensorEvaluationContext, vault: VaultResource, settings: SettingsResource, alert: AlertResource
) -> dg.SkipReason:
    """Lets what crashed be tried again, and pauses a config after too many crashes in a row; starts nothing itself."""
    loaded = settings.load()
    opened = vault.open(loaded)
    handled: dict[str, str] = json.loads(context.cursor or "{}")
    told: list[str] = []
    for config in CONFIGS:
        ended = _ended_runs(context.instance, config)
        if not ended:
            continue
        pause = pauses.pause_of(opened, config)
        newest = ended[0]
        if pause is not None and pause.by == "crashes" and not newest.crashed:
            pauses.resume(opened, config, f"run {newest.run} succeeded", by="success")
            told.append(f"{config.key} goes on: a run succeeded")
        budget = pauses.crash_budget(ended, loaded.crash, time.time())
        if budget == pauses.Budget.NOTHING or pause is not None or handled.get(config.key) == newest.run:
            continue
        handled[config.key] = newest.run
        if budget == pauses.Budget.RETRY:
            event = dg.AssetMaterialization(
                RETRY_BUDGET.key, partition=config.key, metadata={"crashed": dg.MetadataValue.dagster_run(newest.run)}
            )
            context.instance.report_runless_asset_event(event)
            told.append(f"{config.key} may try again after run {newest.run}")
        else:
            reason = f"{loaded.crash.in_a_row} crashes in a row, the last in run {newest.run}"
            pauses.pause(opened, config, reason, by="crashes")
            alert.send(f"{config.key} pauses: {reason}", loaded, context.log)
            told.append(f"{config.key} pauses: {reason}")
    context.update_cursor(json.dumps(handled))
    return dg.SkipReason("; ".join(told) or "no crash to deal with")


@dg.sensor(
    name="watch_disk",
    minimum_interval_seconds=300,
    default_status=dg.DefaultSensorStatus.RUNNING,
    target=dg.AssetSelection.assets("selfplay_plan"),
)
def watch_disk(
    context: dg.SensorEvaluationContext, vault: VaultResource, settings: SettingsResource, alert: AlertResource
) -> dg.RunRequest | dg.SkipReason:
    """Tells when the disk below the vault gets full, and lets the plan pause or resume the producers."""
    loaded = settings.load()
    capacity = vault.open(loaded).capacity()
    before = context.cursor or Level.FREE
    context.update_cursor(capacity.level.value)  # the daemon takes plain text only
    if capacity.level == before:
        return dg.SkipReason(capacity.reason)
    alert.send(capacity.reason, loaded, context.log)
    return dg.RunRequest(tags={"rr/reason": capacity.reason})


@dg.sensor(
    name="use_idle_gpu",
    minimum_interval_seconds=60,
    default_status=dg.DefaultSensorStatus.RUNNING,
    target=dg.AssetSelection.assets("games_db"),
)
def use_idle_gpu(
    context: dg.SensorEvaluationContext, vault: VaultResource, settings: SettingsResource, gpus: GpuResource
) -> dg.RunRequest | dg.SkipReason:
    """Gives a GPU of this node that does nothing the games the plan wants most; waits after launches that failed."""
    loaded = settings.load()
    if loaded.idle.role == "coordinator":
        return dg.SkipReason("this node is a coordinator: it plays no games")
    try:
        found = gpus.read()
    except NoGpuError as error:
        return dg.SkipReason(str(error))
    backoff = _after_launch(context, loaded)
    context.update_cursor(json.dumps(asdict(backoff)))
    least = min(found, key=lambda gpu: (gpu.use, -gpu.free_gb))
    if least.use >= loaded.idle.below:
        return dg.SkipReason(f"no GPU is idle: the least used one is at {least.use:.0%}")
    if context.instance.get_run_records(
        filters=dg.RunsFilter(tags={"rr/lane": "gpu"}, statuses=list(UNDER_WAY)), limit=1
    ):
        return dg.SkipReason(f"{least.name} is at {least.use:.0%}, a run for it is under way")
    if (left := backoff.until - time.time()) > 0:
        return dg.SkipReason(f"{backoff.failures} launches failed in a row: the next one in {left:.0f} s")
    choice = fleet.choose_for_gpu(vault.open(loaded), loaded, free_gb=least.free_gb)
    if choice is None:
        return dg.SkipReason("every config rests")
    request = dg.RunRequest(
        run_key=f"idle-{uuid4()}",
        partition_key=choice.config,
        tags={"rr/lane": "gpu", "rr/reason": f"{least.name} at {least.use:.0%}: {choice.reason}"},
    )
    context.update_cursor(json.dumps(asdict(replace(backoff, run=request.run_key))))
    return request


def _after_launch(context: dg.SensorEvaluationContext, loaded: Settings) -> Backoff:
    """What is known of earlier launches, the last one included if it has ended."""
    backoff = Backoff(**json.loads(context.cursor or "{}"))
    if not backoff.run:
        return backoff
    launched = context.instance.get_run_records(filters=dg.RunsFilter(tags={_RUN_KEY_TAG: backoff.run}), limit=1)
    if not launched or launched[0].end_time is None:
        return backoff
    failed = launched[0].dagster_run.status == dg.DagsterRunStatus.FAILURE
    return backoff.ended(failed=failed, at=launched[0].end_time, settings=loaded.idle)


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
