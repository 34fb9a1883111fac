"""The numbers of a config and the page that shows them, from cards that a loop would have left."""

import gzip
import json
import xml.etree.ElementTree as ElementTree
from datetime import UTC, datetime, timedelta

import pytest
from typer.testing import CliRunner

from rr_engine.boards import CONFIGS, Config
from rr_engine.cli import app
from rr_engine.errors import DataError
from rr_engine.render.charts import Curve, chart
from rr_engine.settings import Settings
from rr_engine.stages import curves
from rr_engine.stages.fleet import plan_fleet
from rr_engine.stages.report import (
    find_budget_chart,
    health_of,
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


def soon(hours: float = 1) -> datetime:
    """So many hours from now."""
    return datetime.now(UTC) + timedelta(hours=hours)


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


def turned(vault: Vault, times: int) -> None:
    """What some turns of the loop leave: games, dataset, network, evaluation, champion."""
    rows: list[dict[str, object]] = []
    for turn in range(times):
        claim = vault.claim(HEX.key, 10)
        facts = {"claim": claim.number, "distinct": 9 if turn else 8, "generation": turn, "decisions": 500}
        put(vault, f"shard {turn}".encode(), kind="games", suffix=".parquet", rows=8 if turn == 0 else 10, facts=facts)
        data = {
            "replay_ratio": 2.5, "generation_lag": 1, "newest_hours": 0.5, "quality": {"score": 0.9},
            "refused": [{"shard": "c" * 64, "games": 10, "bad": 2, "why": "it does not replay"}],
        }  # fmt: skip
        window = put(vault, f"window {turn}".encode(), kind="dataset", suffix=".npz", facts=data)
        trained = {
            "policy_accuracy": 0.4 + turn / 10, "validation_loss": 3.0 - turn, "best_epoch": 0,
            "epochs": epochs(3.0 - turn / 2), "device": "cpu", "dataset": window.sha256, "started_from": None,
        }  # fmt: skip
        network = put(vault, f"weights {turn}".encode(), facts=trained)
        results = {name: result(0.5 + turn / 10) for name in ("random", "greedy", "heuristic")}
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


def test_before_anything_there_are_no_numbers(local: Vault) -> None:
    metrics = metrics_of(local, HEX, soon())
    assert {metrics[name] for name in NUMBERS} == {None}
    assert (metrics["games"], metrics["lost_games"], metrics["wins"]) == (0, 0, {})
    assert health_of(metrics, Settings()) == "no games; no champion"
    assert curves.drawn(local, HEX) == []
    assert "no curve before its second point" in curves.draw(local, HEX, "elo", 0)


def test_the_numbers_are_those_of_the_cards(local: Vault) -> None:
    turned(local, 3)
    metrics = metrics_of(local, HEX, soon())
    assert (metrics["games"], metrics["lost_games"], metrics["duplicate_games"], metrics["invalid_games"]) == (
        28,
        2,
        2,
        2,
    )
    assert metrics["data_age_hours"] == pytest.approx(1.0, abs=0.01)
    assert (metrics["replay_ratio"], metrics["quality"], metrics["policy_accuracy"]) == (2.5, 0.9, pytest.approx(0.6))
    assert (metrics["elo"], metrics["elo_low"], metrics["elo_high"]) == (200.0, 150.0, 250.0)
    assert metrics["generation"] == 2
    assert metrics["wins"]["heuristic"] == {"score": 0.7, "low": pytest.approx(0.6), "high": pytest.approx(0.8)}
    assert metrics["turn_minutes"] >= 0
    assert json.loads(json.dumps(metrics)) == metrics
    assert health_of(metrics, Settings()) == "2 games were refused"


def test_old_and_bad_data_are_told(local: Vault) -> None:
    turned(local, 1)
    metrics = metrics_of(local, HEX, soon(100)) | {"quality": 0.2, "invalid_games": 0}
    assert health_of(metrics, Settings()) == "games are 100 h old; quality 0.20"


def test_curves_are_pictures_with_the_names_of_what_they_show(local: Vault) -> None:
    turned(local, 2)
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
        (age, ("hours", "dataset")),
        (lag, ("generations", "dataset")),
    ):
        assert len(picture) < 40_000
        texts = {text.text for text in ElementTree.fromstring(picture).iter("{http://www.w3.org/2000/svg}text")}
        assert texts >= set(words)
    again = chart("a", [Curve("one", [0, 1], [1.0, 2.0], [0.5, 1.5], [1.5, 2.5])], across="x", up="y")
    assert again == chart("a", [Curve("one", [0, 1], [1.0, 2.0], [0.5, 1.5], [1.5, 2.5])], across="x", up="y")


def test_the_page_has_a_line_for_every_config_and_needs_nothing_else(local: Vault) -> None:
    turned(local, 2)
    page, rows = report_page(local, Settings(), soon(), waits=[{"config": "<b>", "waits_for": None}])
    assert [row["config"] for row in rows] == [config.key for config in CONFIGS]
    assert all(f"<td>{config.key}</td>" in page for config in CONFIGS)
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
    assert texts[::2] == [row.config for row in planned.rows]
    assert all(told.startswith(f"{row.share:.1%}") for told, row in zip(texts[1::2], planned.rows, strict=True))
    assert picture in report_page(local, Settings(), soon())[0]


def test_use_of_gpus_is_a_curve_where_there_are_some(local: Vault) -> None:
    make_leaderboard(local, Settings(), [], gpu_use=0.5)
    assert metrics_of(local, HEX, soon())["gpu_use"] == 0.5
    make_leaderboard(local, Settings(), [], gpu_use=0.9)
    assert "use of the GPUs" in report_page(local, Settings(), soon())[0]
    assert "use of the GPUs" not in newest_page(local)  # it was made before its own number was kept


def test_a_damaged_config_is_told_and_the_others_are_shown(local: Vault) -> None:
    turned(local, 2)
    put(local, b"bad", kind="games", suffix=".parquet", config="square8_2p", facts={})
    page, _ = report_page(local, Settings(), soon())
    assert "cannot be read: " in page and "does not say" in page
    assert page.count("<details") == 11


def test_the_command_writes_the_page_or_prints_the_numbers(
    local: Vault, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned(local, 2)
    monkeypatch.setenv("RR_VAULT", local.url)
    out = tmp_path / "page.html"
    told = CliRunner().invoke(app, ["report", "--out", str(out)])
    assert told.stdout == f"open {out.as_uri()}\n"
    assert out.read_text().startswith("<!doctype html>")
    lines = CliRunner().invoke(app, ["report", "--metrics"]).stdout.splitlines()
    assert [json.loads(line)["config"] for line in lines] == [config.key for config in CONFIGS]
    [one] = CliRunner().invoke(app, ["report", "--metrics", "--config", "hex8_2p"]).stdout.splitlines()
    assert json.loads(one)["games"] == 18
