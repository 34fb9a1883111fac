"""The numbers of a config and the page that shows them, from cards that a loop would have left."""

import gzip
import json
import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from rr_engine.boards import CONFIGS, Config
from rr_engine.cli import app
from rr_engine.errors import DataError
from rr_engine.render.charts import Curve, chart
from rr_engine.settings import QualitySettings, Settings
from rr_engine.stages import curves, pauses
from rr_engine.stages.evaluations import elo_per_day
from rr_engine.stages.fleet import plan_fleet
from rr_engine.stages.report import (
    find_budget_chart,
    health_of,
    kept_pages,
    make_leaderboard,
    metrics_of,
    newest_page,
    report_page,
    with_all_curves,
)
from rr_engine.vault import Vault
from tests.engine.vaults import put

HEX = Config.parse("hex8_2p")

NUMBERS = ("data_age_hours", "games_per_hour", "replay_ratio", "policy_accuracy", "quality", "turn_minutes", "elo")


START = datetime(2026, 11, 1, tzinfo=UTC)
GOOD = {"games": 18, "decisive": 0.9, "length": 0.9, "starts": 0.9, "targets": 0.9, "balance": 0.9, "score": 0.9}

Advance = Callable[[float], None]


@pytest.fixture
def advance(monkeypatch: pytest.MonkeyPatch) -> Advance:
    """Moves the vault's clock on by some minutes; it stands otherwise, but for a microsecond a look."""
    now = START

    def look() -> str:
        nonlocal now
        now += timedelta(microseconds=1)
        return now.isoformat(timespec="microseconds")

    def move_on(minutes: float) -> None:
        nonlocal now
        now += timedelta(minutes=minutes)

    monkeypatch.setattr("rr_engine.vault.store._now", look)
    return move_on


def at(hours: float) -> datetime:
    """So many hours after the start."""
    return START + timedelta(hours=hours)


def result(score: float, *, games: int = 40) -> dict[str, object]:
    return {
        "a": {"name": "checkpoint", "digest": "a" * 64},
        "b": {"name": "heuristic", "digest": "b" * 64},
        "games": games,
        "distinct": games,
        "wins": round(score * games),
        "score": score,
        "wilson_low": max(0.0, score - 0.1),
        "wilson_high": min(1.0, score + 0.1),
        "groups": [0, 10, 10],
        "wins_by_seat": [0, 0],
    }


def epochs(loss: float) -> list[dict[str, float]]:
    return [{"validation": loss, "validation_policy": loss, "validation_value": loss / 2}]


def turned(vault: Vault, advance: Advance, times: int) -> None:
    """What some turns of the loop leave, of half an hour each: games, dataset, network, evaluation, champion."""
    rows: list[dict[str, object]] = []
    for turn in range(times):
        claim = vault.claim(HEX.key, 10)
        facts = {"claim": claim.number, "distinct": 9 if turn else 8, "generation": turn, "decisions": 500}
        advance(6)
        put(vault, f"shard {turn}".encode(), kind="games", suffix=".parquet", rows=8 if turn == 0 else 10, facts=facts)
        data = {
            "replay_ratio": 2.5, "generation_lag": 1, "newest_hours": 0.5, "oldest_hours": 5.0, "quality": GOOD,
            "refused": [{"shard": "c" * 64, "games": 10, "bad": 2, "why": "it does not replay"}],
            "refused_games": 10, "repeated_games": 3, "problems": [], "samples_by_seat": [50, 50],
            "games_made": 10 * turn + 8, "samples_new": 5, "samples_wanted": 9, "replay_ratio_next": 3.0,
        }  # fmt: skip
        window = put(vault, f"window {turn}".encode(), kind="dataset", suffix=".npz", facts=data)
        trained = {
            "policy_accuracy": 0.4 + turn / 10, "validation_loss": 3.0 - turn, "best_epoch": 0,
            "epochs": epochs(3.0 - turn / 2), "device": "cpu", "dataset": window.sha256, "started_from": None,
        }  # fmt: skip
        network = put(vault, f"weights {turn}".encode(), facts=trained)
        results = {name: result(0.5 + turn / 10) for name in ("random", "greedy", "heuristic")}
        results |= {"greedy-random": result(0.8), "champion-predecessor": result(0.4)}  # not the candidate's own
        blob = gzip.compress(json.dumps({}).encode(), mtime=0)
        put(
            vault,
            blob + bytes(turn),
            kind="matches",
            suffix=".json.gz",
            facts={"candidate": network.sha256, "champion": None, "results": results},
        )
        named = f"checkpoint:{network.sha256[:12]}:2"
        elo = 100.0 * turn
        rows.append({"name": named, "digest": "d" * 64, "elo": elo, "low": elo - 50, "high": elo + 50, "games": 40})
        put(vault, json.dumps(rows).encode(), kind="ratings", suffix=".json", facts={"candidate": network.sha256})
        vault.write_pointer(network, facts={"proven": True, "reason": "better"})
        advance(24)


def test_before_anything_there_are_no_numbers(local: Vault) -> None:
    metrics = metrics_of(local, HEX, at(1), pages=())
    assert {metrics[name] for name in NUMBERS} == {None}
    assert (metrics["games"], metrics["lost_games"], metrics["wins"]) == (0, 0, {})
    assert health_of(local, HEX, metrics, Settings()) == "no games; no champion"
    assert curves.drawn(local, HEX) == []
    assert "no curve before its second point" in curves.draw(local, HEX, "elo", 0)


def test_the_numbers_are_those_of_the_cards(local: Vault, advance: Advance) -> None:
    turned(local, advance, 3)
    metrics = metrics_of(local, HEX, at(2.1), pages=())
    counted = ("games", "lost_games", "duplicate_games", "invalid_games", "refused_games")
    assert [metrics[name] for name in counted] == [28, 2, 3, 2, 10]
    assert metrics["data_age_hours"] == 1.0
    assert metrics["games_per_hour"] == 100.0  # ten in six minutes
    assert metrics["turn_minutes"] == 30.0
    assert (metrics["replay_ratio"], metrics["quality"], metrics["policy_accuracy"]) == (2.5, 0.9, pytest.approx(0.6))
    assert (metrics["elo"], metrics["elo_low"], metrics["elo_high"]) == (200.0, 150.0, 250.0)
    assert metrics["elo_per_day"] == pytest.approx(4800, rel=1e-3)  # a hundred in half an hour
    assert metrics["elo_per_day_error"] > 0
    assert metrics["generation"] == 2
    assert set(metrics["wins"]) == {"random", "greedy", "heuristic"}
    assert metrics["wins"]["heuristic"] == {"score": 0.7, "low": pytest.approx(0.6), "high": pytest.approx(0.8)}
    assert json.loads(json.dumps(metrics)) == metrics
    assert health_of(local, HEX, metrics, Settings()) == "10 games were left out: it does not replay"


def test_a_rematch_tells_of_its_opponent_only(local: Vault, advance: Advance) -> None:
    turned(local, advance, 2)
    champion = metrics_of(local, HEX, at(1), pages=())["champion"]
    again = {"candidate": "e" * 64, "champion": champion, "results": {"champion-heuristic": result(0.9)}}
    put(local, b"again", kind="matches", suffix=".json.gz", facts=again)
    wins = metrics_of(local, HEX, at(1), pages=())["wins"]
    assert {name: row["score"] for name, row in wins.items()} == {"random": 0.6, "greedy": 0.6, "heuristic": 0.9}


def test_a_trend_needs_two_champions_and_is_that_of_the_newest(local: Vault, advance: Advance) -> None:
    turned(local, advance, 1)
    assert metrics_of(local, HEX, at(1), pages=())["elo_per_day"] is None
    assert elo_per_day(local, HEX) is None
    page, _ = report_page(local, Settings(), at(1))
    assert "Elo a day" not in page


def test_what_the_loop_stops_for_is_no_good_health(local: Vault, advance: Advance) -> None:
    turned(local, advance, 1)
    old = metrics_of(local, HEX, at(100), pages=())
    assert health_of(local, HEX, old, Settings()).startswith("its newest game is 100 h old; 10 games were left out")
    strict = Settings(quality=QualitySettings(gate=0.95, throttle_below=0.95, recover_at=0.95))
    assert "quality 0.90 is below 0.95, most of all starts 0.90" in health_of(local, HEX, old, strict)
    pauses.pause(local, HEX, "three crashes", by="sensor")
    assert "three crashes" in health_of(local, HEX, old, Settings())


def test_curves_are_pictures_with_the_names_of_what_they_show(local: Vault, advance: Advance) -> None:
    turned(local, advance, 2)
    ratings, wins, losses, age, lag = (
        curves.draw(local, HEX, of, number)
        for of, number in (("elo", 0), ("elo", 1), ("checkpoint", 0), ("npz_dataset", 0), ("npz_dataset", 1))
    )
    for of, number in (("elo", 2), ("nothing", 0)):
        with pytest.raises(DataError, match="curves are games_db 0, npz_dataset 0, npz_dataset 1, checkpoint 0, elo 0"):
            curves.draw(local, HEX, of, number)
    for picture, words in (
        (ratings, ("generation", "Elo")),
        (wins, ("random", "greedy", "heuristic", "share")),
        (losses, ("policy", "value", "candidate")),
        (age, ("hours", "dataset", "newest", "oldest")),
        (lag, ("generations", "dataset")),
    ):
        assert len(picture) < 40_000
        texts = {text.text for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")}
        assert texts >= set(words)


def test_the_same_curves_give_the_same_text_whoever_draws_beside() -> None:
    def draw(_: int) -> str:
        return chart("a", [Curve("one", [0, 1], [1.0, 2.0], [0.5, 1.5], [1.5, 2.5])], across="x", up="y")

    with ThreadPoolExecutor(3) as pool:
        [picture] = set(pool.map(draw, range(6)))
    assert picture.count("currentColor") > 10 and "#888" not in picture


def test_the_page_has_a_line_for_every_config_and_needs_nothing_else(local: Vault, advance: Advance) -> None:
    turned(local, advance, 2)
    page, rows = report_page(local, Settings(), at(1), waits=[{"config": "<b>", "waits_for": None}])
    assert [row["config"] for row in rows] == [config.key for config in CONFIGS]
    assert all(f"<td>{config.key}</td>" in page for config in CONFIGS)
    columns = re.findall("<th>(.*?)</th>", page.partition("</thead>")[0])
    line = re.search("<tr>(<td>hex8_2p</td>.*?)</tr>", page)
    assert line is not None
    told = dict(zip(columns, re.findall("<td>(.*?)</td>", line[1]), strict=True))
    assert told["strength"] == "100 (50 to 150)"
    assert re.fullmatch(r"\+4,800 \u00b1 [\d,]+ Elo a day", told["trend"])
    assert told["last promotion"] == "2026-11-01 00:36"
    assert told["next action"] == "champion"
    assert told["health"] == "10 games were left out: it does not replay"
    assert "&lt;b&gt;" in page and "<b>" not in page
    assert page.count("<svg") == 0
    whole = with_all_curves(local, page)
    assert whole.count("<svg") == len(curves.drawn(local, HEX)) == 6
    assert all(svg in whole for svg in curves.drawn(local, HEX))
    assert "<script" not in page and 'src="' not in page


def test_shares_are_bars_with_their_reasons(local: Vault) -> None:
    planned = plan_fleet(local, Settings())
    picture = find_budget_chart(local, planned.card.sha256)
    with pytest.raises(DataError, match="no plan"):
        find_budget_chart(local, "f" * 64)
    texts = [text.text for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")]
    assert texts[::3] == [row.config for row in planned.rows]
    assert texts[1::3] == [f"{row.share:.1%}" for row in planned.rows]
    assert all(row.reason.startswith(str(told)[:90]) for told, row in zip(texts[2::3], planned.rows, strict=True))
    assert all(f"<title>{row.reason}</title>" in picture for row in planned.rows)
    assert picture in report_page(local, Settings(), at(1))[0]


def test_use_of_gpus_is_a_curve_where_there_are_some(local: Vault) -> None:
    make_leaderboard(local, Settings(), [], gpu_use=0.5)
    assert metrics_of(local, HEX, at(1), pages=kept_pages(local))["gpu_use"] == 0.5
    make_leaderboard(local, Settings(), [], gpu_use=0.9)
    assert "use of the GPUs" in report_page(local, Settings(), at(1))[0]
    assert "use of the GPUs" not in newest_page(local)  # it was made before its own number was kept


def test_a_damaged_config_is_told_and_the_others_are_shown(local: Vault, advance: Advance) -> None:
    turned(local, advance, 2)
    put(local, b"bad", kind="games", suffix=".parquet", config="square8_2p", facts={})
    page, _ = report_page(local, Settings(), at(1))
    assert "cannot be read: " in page and "does not say" in page
    assert page.count("<details") == 11


def test_the_command_writes_the_page_or_prints_the_numbers(
    local: Vault, advance: Advance, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned(local, advance, 2)
    monkeypatch.setenv("RR_VAULT", local.url)
    out = tmp_path / "page.html"
    told = CliRunner().invoke(app, ["report", "--out", str(out)])
    assert told.stdout == f"open {out.as_uri()}\n"
    assert out.read_text().startswith("<!doctype html>")
    lines = CliRunner().invoke(app, ["report", "--metrics"]).stdout.splitlines()
    assert [json.loads(line)["config"] for line in lines] == [config.key for config in CONFIGS]
    [one] = CliRunner().invoke(app, ["report", "--metrics", "--config", "hex8_2p"]).stdout.splitlines()
    assert json.loads(one)["games"] == 18
