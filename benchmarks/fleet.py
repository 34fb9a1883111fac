"""Twenty-six nodes that fail, simulated: how busy their GPUs are, and whether any config starves.

    python -m benchmarks.fleet --hours 24 --seed 1 --times 1

Time is simulated, decisions are not: the plan (`make_plan`), what a node takes (`works`), the queue's limits
(`queue_limits`, those of dagster.cluster.yaml, Dagster's own counter), priorities and the choice for an idle GPU
(`choose`) are the platform's. What a run costs is: games and training samples for each board as measured on one GPU,
over the node's speed. A node fails with 1 % a minute; its run is noticed as lost after a minute and tried again. One
JSON line; --times 10 or 100 takes as many nodes of each kind.
"""

import argparse
import heapq
import json
import random
import statistics
import sys
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from dagster._utils.tags import TagConcurrencyLimitsCounter

from rr_assets.coordinator import WORKER_TAG, priority_of, queue_limits, run_tags
from rr_assets.nodes import CPU, GPU, Node, code_version, works
from rr_engine.boards import CONFIGS, Config, typical_decisions
from rr_engine.selfplay import idle
from rr_engine.selfplay.plan import ConfigFacts, PlanRow, make_plan
from rr_engine.settings import DatasetSettings, NetworkSettings, PlanSettings, Settings, TrainingSettings

# Kind of node: (how many, speed against the one measured, GB of the GPU, role)
KINDS = (
    (2, 3.0, 80.0, "trainer"),
    (4, 1.0, 24.0, "trainer"),
    (6, 1.0, 24.0, "selfplay"),
    (6, 0.5, 16.0, "selfplay"),
    (4, 0.4, 12.0, "ephemeral"),
    (4, 0.2, 2.0, "ephemeral"),
)
CPU_SLOTS = 24  # runs of other kinds at once, over all nodes
GAMES = 125_000  # of a turn over all configs: runs of some minutes
NEW_SAMPLES = 100_000  # that a training of two players needs
_CLUSTER = yaml.safe_load((Path(__file__).parents[1] / "dagster_home" / "dagster.cluster.yaml").read_text())

FAILS = 0.01  # of the nodes, a minute
BACK_MIN = (2.0, 20.0)  # minutes until a failed node is back, or another in its place
NOTICED_S, RETRIED_S = 60.0, 60.0  # until a lost run is noticed, and from there until it is tried again
START_S = 3.0  # of a run on a warm worker
DATASET_S, RATING_S, PLAN_S = 20.0, 240.0, 5.0  # runs of lane cpu, for a small board
LOOK_S, IDLE_S, PLAN_EVERY_S = 1.0, 60.0, 900.0  # the queue, the idle sensor, the plan
# At speed 1, a third of an H200's (docs/benchmarks.md), with 128 channels and 10 blocks; a second:
CELL_DECISIONS_S = 140_000  # self-play: decisions times cells
CELL_SAMPLES_S = 680_000  # training: samples times cells


@dataclass
class Run:
    """A run that is queued or under way."""

    asset: str
    config: Config
    games: int
    priority: int
    tags: dict[str, str]
    run_id: str
    node: str = ""
    began: float = 0.0
    ends: float = 0.0


@dataclass
class Loop:
    """What the plan knows of a config."""

    made: int = 0  # games
    taken: int = 0  # of them, by the newest dataset
    samples_new: int = 0
    newest: float | None = None  # seconds, of the last games
    granted: str = ""
    granted_at: float = 0.0
    datasets: int = 0
    trainings: int = 0
    longest_gap: float = 0.0
    gpu_s: float = 0.0


@dataclass
class Machine:
    """A node, and what it did."""

    node: Node
    speed: float
    up: bool = True
    since: float = 0.0
    alive_s: float = 0.0
    busy_s: float = 0.0
    run: Run | None = None


@dataclass
class Fleet:
    """All of it at a moment."""

    rng: random.Random
    times: int
    settings: Settings
    limits: list[dict[str, Any]]  # of the queue, as dagster.yaml gives them
    now: float = 0.0
    machines: dict[str, Machine] = field(default_factory=dict[str, Machine])
    loops: dict[str, Loop] = field(default_factory=lambda: {config.key: Loop() for config in CONFIGS})
    queue: list[Run] = field(default_factory=list[Run])
    under_way: list[Run] = field(default_factory=list[Run])
    plan: list[PlanRow] = field(default_factory=list[PlanRow])
    events: list[tuple[float, int, Any]] = field(default_factory=list[tuple[float, int, Any]])
    counter: int = 0
    lost: int = 0
    waits: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    def at(self, seconds: float, what: Any, *given: Any) -> None:
        """Do something later."""
        self.counter += 1
        heapq.heappush(self.events, (self.now + seconds, self.counter, (what, given)))

    def simulate(self, hours: float) -> None:
        """Let it run."""
        self._build()
        self.at(0, self.make_plan)
        for seconds, what in ((LOOK_S, self.look), (IDLE_S, self.use_idle), (PLAN_EVERY_S, self.make_plan)):
            self.at(seconds, self._each, seconds, what)
        self.at(60, self.fail)
        while self.events and self.events[0][0] <= 3600 * hours:
            self.now, _, (what, given) = heapq.heappop(self.events)
            what(*given)

    def _each(self, seconds: float, what: Any) -> None:
        what()
        self.at(seconds, self._each, seconds, what)

    def _build(self) -> None:
        number = 0
        for count, speed, gpu_gb, role in KINDS:
            for _ in range(count * self.times):
                number += 1
                takes = works(GPU, role, self.settings, gpu_gb=gpu_gb, ram_gb=64.0)
                self._add(f"gpu{number}", role, GPU, takes, 1, speed)
        self._add("cpu", "coordinator", CPU, (CPU,), CPU_SLOTS * self.times, 1.0)

    def _add(self, name: str, role: str, lane: str, takes: tuple[str, ...], slots: int, speed: float) -> None:
        node = Node(name, role, lane, takes, slots, code_version(), (), "", 0.5, 100.0)
        self.machines[name] = Machine(node, speed)

    def make_plan(self) -> None:
        """The plan, from what the loops know; who may play is asked for games."""
        playing = {run.config.key for run in (*self.queue, *self.under_way) if run.asset == "games_db"}
        self.plan = make_plan([self._facts(config, config.key in playing) for config in CONFIGS], self.settings)
        for row in self.plan:
            if row.grants:
                self.loops[row.config].granted = row.granted
                self.submit("games_db", Config.parse(row.config), row)

    def _facts(self, config: Config, plays: bool) -> ConfigFacts:
        loop = self.loops[config.key]
        due = "start" if loop.made == 0 else f"dataset {loop.datasets}" if loop.taken == loop.made else ""
        return ConfigFacts(
            config.key,
            games_age_hours=None if loop.newest is None else (self.now - loop.newest) / 3600,
            samples_new=loop.samples_new,
            samples_wanted=self.settings.dataset.min_new_samples,
            elo_half_width=100.0,
            plays=plays,
            due=due,
            was_granted=loop.granted,
        )

    def submit(self, asset: str, config: Config, row: PlanRow | None = None, games: int = 0) -> None:
        """Queue a run, tagged as the coordinator does."""
        self.counter += 1
        row = row or next(row for row in self.plan if row.config == config.key)
        tags = run_tags({asset}, config.key)
        priority = priority_of(tags, row.priority)
        self.queue.append(Run(asset, config, games or row.games, priority, tags, f"{self.counter:09}", began=self.now))

    def look(self) -> None:
        """The queue: the most important first, as far as the limits allow; a worker that is free takes it."""
        if not self.queue:
            return
        alive = [self._told(machine) for machine in self.machines.values() if machine.up]
        counter = TagConcurrencyLimitsCounter([*self.limits, *queue_limits(alive, self.under_way)], self.under_way)
        for run in sorted(self.queue, key=lambda run: (-run.priority, run.run_id)):
            if not counter.is_blocked(run) and self._begin(run):
                counter.update_counters_with_launched_item(run)
                self.queue.remove(run)

    def _told(self, machine: Machine) -> Node:
        """What a node would answer."""
        if machine.node.lane == GPU:
            return replace(machine.node, runs=() if machine.run is None else (machine.run.run_id,))
        return replace(machine.node, runs=tuple(run.run_id for run in self.under_way if run.node == machine.node.name))

    def _begin(self, run: Run) -> bool:
        free = [m for m in self.machines.values() if m.up and run.tags["rr/work"] in m.node.takes and m.run is None]
        if not free:
            return False
        machine = self.rng.choice(free)
        self.waits[run.asset].append(self.now - run.began)
        run.node, run.began = machine.node.name, self.now
        run.tags[WORKER_TAG] = run.node
        run.ends = self.now + START_S + self._seconds(run) / machine.speed
        if machine.node.lane == GPU:
            machine.run = run
        self.under_way.append(run)
        self.at(run.ends - self.now, self.end, run)
        return True

    def _seconds(self, run: Run) -> float:
        size = run.config.board.cells / 61
        decisions = run.games * typical_decisions(run.config)
        if run.asset == "games_db":
            return decisions * run.config.board.cells / CELL_DECISIONS_S
        if run.asset == "checkpoint":
            samples = self.settings.training.passes * min(self.settings.dataset.least_samples, 10 * decisions)
            return samples * run.config.board.cells / CELL_SAMPLES_S
        return {"npz_dataset": DATASET_S, "elo": RATING_S}[run.asset] * size**0.5

    def end(self, run: Run) -> None:
        """A run has ended, unless its node went before."""
        if run not in self.under_way:
            return
        self.under_way.remove(run)
        machine, loop = self.machines[run.node], self.loops[run.config.key]
        if machine.node.lane == GPU:
            machine.busy_s += self.now - run.began
            loop.gpu_s += (self.now - run.began) * machine.speed
            machine.run = None
        if run.asset == "games_db":
            loop.longest_gap = max(loop.longest_gap, self.now - (loop.newest or 0.0))
            loop.made, loop.newest = loop.made + run.games, self.now
            loop.samples_new += run.games * typical_decisions(run.config) // 2
            self.submit("npz_dataset", run.config)
        elif run.asset == "npz_dataset":
            loop.taken, loop.datasets = loop.made, loop.datasets + 1
            self.at(PLAN_S, self.make_plan)
            self._maybe_train(run.config, loop)
        elif run.asset == "checkpoint":
            loop.trainings += 1
            self.submit("elo", run.config)

    def _maybe_train(self, config: Config, loop: Loop) -> None:
        trains = any(r.asset == "checkpoint" and r.config == config for r in (*self.queue, *self.under_way))
        if loop.samples_new >= self.settings.dataset.min_new_samples and not trains:
            loop.samples_new = 0
            self.submit("checkpoint", config)

    def use_idle(self) -> None:
        """The sensor for idle GPUs."""
        waiting = {run.tags["rr/work"] for run in self.queue}
        playing = Counter(run.config.key for run in (*self.queue, *self.under_way) if run.asset == "games_db")
        rows = [row.facts() for row in self.plan]
        for machine in self.machines.values():
            if not machine.up or machine.node.lane == CPU or machine.run or waiting & set(machine.node.takes):
                continue
            fitting = [row for row in rows if f"selfplay.{row['config']}" in machine.node.takes]
            needs = {row["config"]: 0.0 for row in rows}
            choice = idle.choose(fitting, free_gb=1.0, needs_gb=needs, usable=needs.keys(), playing=playing)
            if choice is not None:
                playing[choice.config] += 1
                self.submit("games_db", Config.parse(choice.config))

    def fail(self) -> None:
        """A minute of bad luck."""
        for machine in self.machines.values():
            if machine.node.lane == GPU and machine.up and self.rng.random() < FAILS:
                machine.alive_s += self.now - machine.since
                machine.up = False
                self.at(60 * self.rng.uniform(*BACK_MIN), self.come_back, machine)
                if machine.run is not None:
                    self.at(NOTICED_S, self.notice, machine.run)
                    machine.busy_s += self.now - machine.run.began
                    machine.run, self.lost = None, self.lost + 1
        self.at(60, self.fail)

    def come_back(self, machine: Machine) -> None:
        """Up again, and warm."""
        machine.up, machine.since = True, self.now

    def notice(self, run: Run) -> None:
        """A lost run has failed, and is tried again."""
        if run in self.under_way:
            self.under_way.remove(run)
            self.at(RETRIED_S, self.submit, run.asset, run.config, None, run.games)

    def report(self) -> dict[str, Any]:
        """What came of it."""
        gpus = [machine for machine in self.machines.values() if machine.node.lane == GPU]
        for machine in gpus:
            machine.alive_s += self.now - machine.since if machine.up else 0.0
            if machine.run is not None:
                machine.busy_s += self.now - machine.run.began
        busy, alive = sum(m.busy_s for m in gpus), sum(m.alive_s for m in gpus)
        work = sum(loop.gpu_s for loop in self.loops.values())
        return {
            "nodes": len(gpus),
            "hours": round(self.now / 3600, 1),
            "gpu_use": round(busy / alive, 3),
            "least_used_node": round(min(m.busy_s / m.alive_s for m in gpus), 3),
            "failures": self.lost,
            "least_share": round(min(loop.gpu_s / work for loop in self.loops.values()), 3),
            "longest_gap_min": round(max(loop.longest_gap for loop in self.loops.values()) / 60, 1),
            "fewest_trainings": min(loop.trainings for loop in self.loops.values()),
            "most_trainings": max(loop.trainings for loop in self.loops.values()),
            "wait_s": {asset: round(statistics.median(seconds), 1) for asset, seconds in self.waits.items()},
        }


def settings_of() -> Settings:
    """What an operator of such a fleet would set."""
    return Settings(
        network=NetworkSettings(128, 10),
        training=TrainingSettings(batch_size=1024),
        dataset=DatasetSettings(min_new_samples=NEW_SAMPLES),
        plan=PlanSettings(games=GAMES),
    )


def limits_of(times: int) -> list[dict[str, Any]]:
    """The queue's limits of dagster.cluster.yaml, with so many times the runs that make games of one config at once."""
    limits = _CLUSTER["run_coordinator"]["config"]["tag_concurrency_limits"]
    wider = {"rr/writes/games_db": times}
    return [limit | {"limit": limit["limit"] * wider.get(limit["key"], 1)} for limit in limits]


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=24)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--times", type=int, default=1, help="so many times the nodes of every kind")
    arguments = parser.parse_args()
    fleet = Fleet(random.Random(arguments.seed), arguments.times, settings_of(), limits_of(arguments.times))
    fleet.simulate(arguments.hours)
    print(json.dumps(fleet.report() | {"seed": arguments.seed}))


if __name__ == "__main__":
    sys.exit(main())
