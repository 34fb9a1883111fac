"""A cluster under load, shaken: twelve configs at once, and processes killed for real, one after the other.

    python -m benchmarks.soak --minutes 20 --kills 50 --seed 1

What is killed, and when: a worker while it plays, while it uploads a shard, while it trains, while it plays matches;
the broker; the database. After each kill the store is looked through: nothing damaged is readable as good, no batch
that was finished is missing, no seed was played twice. In the end every config that was hit has gone on by itself, no
run is stuck, none went to the wrong worker, and no log tells of a lock. A line per kill, a last one with everything;
exit status 1 unless all of it held.
"""

import argparse
import contextlib
import json
import random
import re
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg

from benchmarks.running import Running, running_cluster, times_to_start
from benchmarks.served import let_rest
from benchmarks.tripwire import Tripwire
from rr_assets import liveness
from rr_assets.coordinator import LOST_TAG, UNDER_WAY, WORKER_TAG
from rr_engine.boards import CONFIGS, Config
from rr_engine.settings import load
from rr_engine.stages import candidate, games, pauses
from rr_engine.vault import Card

SETTINGS = Path(__file__).resolve().parents[1] / "tests" / "data" / "soak.toml"
WORKERS = {"gpu1": "trainer", "gpu2": "trainer", "gpu3": "selfplay"}
KINDS = ("upload", "training", "match", "selfplay", "broker", "database")
_ASSET_OF = {"selfplay": "games_db", "training": "checkpoint", "match": "elo"}
_FOUND_S, _BACK_S = 180.0, 420.0  # seconds to find a victim; to go on after the last kill
_LATE = 0.5  # of the killed trainings die after they have put a state away
_CLOCK_S = 1.0  # by which events of two processes may seem to be apart
_LOCKED = re.compile(r"database is locked|deadlock detected|could not serialize|LockNotAvailable", re.IGNORECASE)


@dataclass
class Kill:
    """One kill."""

    kind: str
    part: str  # which part of the cluster died
    at: float  # seconds since 1970
    config: str = ""  # whose run died with it
    asset: str = ""


class Soak:
    """A cluster being shaken."""

    def __init__(self, cluster: Running, wire: Tripwire, rng: random.Random) -> None:
        self.kills: list[Kill] = []
        self._cluster, self._wire, self._rng = cluster, wire, rng
        self._shards: dict[str, Card] = {}  # by hash: all that were ever seen
        self._whole: set[str] = set()  # hashes of artefacts that were read back
        self._began = self._rested = time.time()

    def kill(self, kind: str) -> Kill:
        """Kill a process at the moment `kind` names; raises TimeoutError when that moment does not come."""
        if kind in ("broker", "database"):
            time.sleep(self._rng.uniform(0, 3))
            self._cluster.kill(kind)
            kill = Kill(kind, kind, time.time())
        elif kind == "upload":
            group, config = self._wire.arm().result(_FOUND_S)
            kill = Kill(kind, f"group {group}", time.time(), config, "games_db")
        else:
            asset = _ASSET_OF[kind]
            late = kind == "training" and self._rng.random() < _LATE
            self._cluster.wait(lambda: self._at(asset, late), _FOUND_S)
            time.sleep(self._rng.uniform(0, 1))
            run = next(iter(self._at(asset, late)), None)
            if run is None:
                return self.kill(kind)  # it ended in the meantime
            part = run.tags[WORKER_TAG].partition("@")[0]
            self._cluster.kill(part)
            kill = Kill(kind, part, time.time(), run.tags["rr/config"], asset)
        self.kills.append(kill)
        return kill

    def _at(self, asset: str, late: bool) -> list[dg.DagsterRun]:
        """Runs that are at the step of an asset now; `late`: and have put away the state of their training."""
        started = dg.RunsFilter(
            tags={f"rr/writes/{asset}": [c.key for c in CONFIGS]}, statuses=[dg.DagsterRunStatus.STARTED]
        )
        found = []
        for record in self._cluster.instance.get_run_records(started):
            run = record.dagster_run
            stats = self._cluster.instance.get_run_step_stats(run.run_id, [asset])
            begun = stats[0].start_time if stats and stats[0].end_time is None else None
            if begun is not None and WORKER_TAG in run.tags and (not late or self._has_state(run, begun)):
                found.append(run)
        return found

    def _has_state(self, training: dg.DagsterRun, begun: float) -> bool:
        states = self._cluster.vault.cards(candidate.STATE_KIND, training.tags["rr/config"])
        return any(datetime.fromisoformat(state.created).timestamp() > begun for state in states)

    def look_through(self) -> list[str]:
        """What is wrong in the store."""
        problems: list[str] = []
        vault = self._cluster.vault
        now = {card.sha256: card for config in CONFIGS for card in vault.cards(games.KIND, config.key)}
        problems += [f"shard {sha256[:12]} is missing" for sha256 in self._shards.keys() - now.keys()]
        self._shards |= now
        for config in CONFIGS:
            seeds = Counter(seed for card in now.values() if card.config == config.key for seed in card.facts["seeds"])
            problems += [
                f"seed {seed} of {config.key} was played {times} times" for seed, times in seeds.items() if times > 1
            ]
            for kind in ("games", "dataset", "checkpoint", "matches", "ratings", "curriculum", "training"):
                for card in vault.cards(kind, config.key):
                    if card.sha256 not in self._whole:
                        vault.get(card)  # raises where it is not what its card says
                        self._whole.add(card.sha256)
        return problems

    def waits_for(self) -> list[str]:
        """Killed runs that were not made up for yet, and workers that are not back."""
        left = [part for part in self._cluster.workers if part not in self._names()]
        for kill in self.kills:
            wanted = dg.RunsFilter(
                tags={f"rr/writes/{kill.asset}": kill.config} if kill.asset else {},
                statuses=[dg.DagsterRunStatus.SUCCESS],
            )
            newest = self._cluster.instance.get_run_records(wanted, limit=1, order_by="end_time", ascending=False)
            if not newest or (newest[0].end_time or 0) < kill.at:
                left.append(f"{kill.asset} of {kill.config}" if kill.asset else "any run")
        return left

    def why(self, left: list[str]) -> list[str]:
        """The same with what the pages say that each config waits for."""
        configs = [config for config in CONFIGS if any(what.endswith(f" of {config.key}") for what in left)]
        return [f"did not go on: {what}" for what in left] + self.pages(configs)

    def pages(self, configs: Sequence[Config] = CONFIGS) -> list[str]:
        """What the pages say that configs wait for."""
        cluster = self._cluster
        return [
            f"{row['config']} {row['asset']}: {row['last_event']} at {row['at']}, waits for {row['waits_for']}"
            for row in liveness.table(cluster.instance, cluster.vault, load(SETTINGS), configs, cluster.nodes())
        ]

    def _names(self) -> set[str]:
        return {node.name.partition("@")[0] for node in self._cluster.nodes()}

    def rest(self) -> None:
        """Let what is under way end; what has not by then is told as stuck."""
        self._rested = time.time()
        with contextlib.suppress(TimeoutError):
            self._cluster.settle()

    def report(self) -> dict[str, Any]:
        """What happened, in numbers."""
        instance = self._cluster.instance
        records = [record for record in instance.get_run_records() if record.create_timestamp.timestamp() > self._began]
        waits = sorted(started for _, started in times_to_start(instance, records))
        by_status = Counter(record.dagster_run.status.value.lower() for record in records)
        return {
            "minutes": round((time.time() - self._began) / 60, 1),
            "kills": dict(Counter(kill.kind for kill in self.kills)),
            "runs": dict(by_status),
            "lost": sum(LOST_TAG in record.dagster_run.tags for record in records),
            "configs": len(
                {record.dagster_run.tags["rr/config"] for record in records if "rr/config" in record.dagster_run.tags}
            ),
            "games": sum(card.rows for card in self._shards.values()),
            "shards": len(self._shards),
            "artefacts_read_back": len(self._whole),
            "run_start_s": round(statistics.median(waits), 2) if waits else None,
            "run_start_p95_s": round(waits[int(0.95 * len(waits))], 2) if waits else None,
            "resumed_trainings": self._resumed(),
            "produced_minus_committed": self._uncommitted(records),
            "misplaced": sum(_is_misplaced(record.dagster_run) for record in records),
            "two_at_once": self._two_at_once(records),
            "locked": self._locked(),
            "stuck": sum(
                record.dagster_run.status in UNDER_WAY and record.create_timestamp.timestamp() < self._rested
                for record in records
            ),
        }

    def _resumed(self) -> int:
        cards = [card for config in CONFIGS for card in self._cluster.vault.cards("checkpoint", config.key)]
        return sum(card.facts["resumed_at_step"] is not None for card in cards)

    def _uncommitted(self, records: list[dg.RunRecord]) -> int:
        """Games that a run said it had made, less those in the store under its claims."""
        missing = 0
        claims = {claim.facts["batch"]: claim for c in CONFIGS for claim in self._cluster.vault.claims(c.key)}
        stored = Counter((card.config, card.facts["claim"]) for card in self._shards.values() for _ in range(card.rows))
        for record in records:
            run = record.dagster_run
            if run.status is dg.DagsterRunStatus.SUCCESS and run.run_id in claims:
                claim = claims[run.run_id]
                missing += claim.stop - claim.start - stored[claim.config, claim.number]
        return missing

    def _two_at_once(self, records: list[dg.RunRecord]) -> int:
        """Runs that began on a worker of lane gpu while it was at another; when a lost one ended is not known."""
        found = 0
        for worker in WORKERS:
            spans = sorted(
                (record.start_time, record.end_time or 0.0)
                for record in records
                if record.start_time and LOST_TAG not in record.dagster_run.tags
                and record.dagster_run.tags.get(WORKER_TAG, "").startswith(f"{worker}@")
            )  # fmt: skip
            found += sum(end > begin + _CLOCK_S for (_, end), (begin, _) in pairwise(spans))
        return found

    def _locked(self) -> int:
        """Lines of any log that tell of a lock."""
        logs = (self._cluster.trial.folder / "log").glob("*.log")
        return sum(len(_LOCKED.findall(log.read_text(errors="replace"))) for log in logs)


def shake(
    cluster: Running,
    wire: Tripwire,
    *,
    minutes: float,
    kills: int,
    seed: int,
    tell: Callable[[str], None],
    within: float | None = None,
    spares: bool = False,
) -> dict[str, Any]:
    """Let all configs turn for some minutes and kill meanwhile; returns the report, with `problems` in it.

    All kills come `within` so many minutes, or in all the time. `spares`: once the time is up, configs that no kill has
    hit rest, so that the others have gone on sooner.
    """
    rng = random.Random(seed)
    kinds = [KINDS[number % len(KINDS)] for number in range(kills)]
    soak = Soak(cluster, wire, rng)
    for config in CONFIGS:
        pauses.resume(cluster.vault, config, "to be shaken", by="hand")
    cluster.launch("selfplay_plan")
    problems: list[str] = []
    now = time.monotonic()
    end, last = now + 60 * minutes, now + 60 * (minutes if within is None else within)
    for number, kind in enumerate(kinds):
        time.sleep(max(0.0, rng.uniform(0.5, 1.5) * (last - time.monotonic()) / (kills - number + 1)))
        try:
            kill = soak.kill(kind)
        except TimeoutError:
            problems += [f"nothing was at {kind} for {_FOUND_S:.0f} s", *soak.pages()]
            tell(json.dumps({"kill": number + 1, "kind": kind, "problems": problems}))
            continue
        cluster.wait_served()
        problems += soak.look_through()
        tell(json.dumps({"kill": number + 1, **vars(kill), "problems": problems}))
    time.sleep(max(0.0, end - time.monotonic()))
    if spares:
        let_rest(cluster.vault, but={kill.config for kill in soak.kills})
    began = time.monotonic()
    told: list[str] = []
    while (left := soak.waits_for()) and time.monotonic() < began + _BACK_S:
        if left != told:
            tell(json.dumps({"after_s": round(time.monotonic() - began), "waits_for": left}))
        told = left
        time.sleep(2)
    back = round(time.monotonic() - began)
    problems += soak.why(left) if left else []
    soak.rest()
    problems += soak.look_through()
    return soak.report() | {"back_after_s": back, "seed": seed, "problems": problems}


def _is_misplaced(run: dg.DagsterRun) -> bool:
    """Whether a run went to a worker that is not there for it."""
    if WORKER_TAG not in run.tags:
        return False
    role = (WORKERS | {"cpu": "cpu"})[run.tags[WORKER_TAG].partition("@")[0]]
    return run.tags["rr/kind"] not in {"trainer": ("training", "selfplay"), "selfplay": ("selfplay",)}.get(
        role, (role,)
    )


def wrong(report: Mapping[str, Any]) -> dict[str, Any]:
    """What did not hold of what has to; empty if all did."""
    bad = ("problems", "locked", "stuck", "produced_minus_committed", "misplaced", "two_at_once")
    return {name: report[name] for name in bad if report[name]}


def main() -> int:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    arguments = parser.parse_args()
    print(json.dumps({"seed": arguments.seed}), flush=True)
    with running_cluster(WORKERS, SETTINGS) as (cluster, wire), cluster.joined():
        report = shake(
            cluster, wire, minutes=arguments.minutes, kills=arguments.kills, seed=arguments.seed,
            tell=lambda line: print(line, flush=True),
        )  # fmt: skip
    print(json.dumps(report), flush=True)
    return 1 if wrong(report) else 0


if __name__ == "__main__":
    sys.exit(main())
