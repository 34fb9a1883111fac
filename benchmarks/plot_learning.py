"""Draw the curves of learning runs.

    python benchmarks/plot_learning.py docs/data/learning-*.jsonl --out docs/learning.svg

A row per file as `learning.py` wrote it: win rate against the heuristic, Elo with its interval, losses, and samples.
"""

import argparse
import io
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
mpl.rcParams["svg.hashsalt"] = "ringrift"  # the same data gives the same file
mpl.rcParams["svg.fonttype"] = "none"  # words stay words
mpl.rcParams["font.sans-serif"] = ["DejaVu Sans", "Arial"]

import matplotlib.pyplot as plt  # noqa: E402 - after the backend is chosen

BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#888888"  # told apart by the colour-blind (Okabe, Ito)


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    runs = [[json.loads(line) for line in path.read_text().splitlines()] for path in arguments.files]
    figure, axes = plt.subplots(len(runs), 4, figsize=(16, 3 * len(runs)), squeeze=False, layout="constrained")
    for row, lines in zip(axes, runs, strict=True):
        draw(row, [line for line in lines if "turn" in line], [line for line in lines if "win_rate" in line])
    for axis in axes.flat:
        axis.minorticks_off()  # a file below 200 kB
        axis.locator_params(axis="x", nbins=4)
        if axis.get_yscale() == "linear":
            axis.locator_params(axis="y", nbins=4)
    for axis in axes[1:].flat:
        axis.get_legend().remove()
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", metadata={"Date": None})
    plain = re.sub(r"\n\s*", "\n", drawn.getvalue())
    arguments.out.write_text(re.sub(r"(\.\d)\d+", r"\1", plain))


def draw(axes: Any, turns: list[dict[str, Any]], results: list[dict[str, Any]]) -> None:
    """One run, a curve per axis over minutes."""
    minutes = [turn["minutes"] for turn in turns]
    wins, strength, losses, samples = axes
    config = turns[0]["config"]
    rated = [turn["against_heuristic"] for turn in turns]
    low = [100 * (rate["score"] - rate["wilson_low"]) for rate in rated]
    high = [100 * (rate["wilson_high"] - rate["score"]) for rate in rated]
    wins.errorbar(
        minutes,
        [100 * rate["score"] for rate in rated],
        [low, high],
        color=BLUE,
        marker="o",
        capsize=2,
        label="candidates",
    )
    played = [turn for turn in turns if turn["new_games_against_opponent"]]
    wins.plot(
        [turn["minutes"] for turn in played],
        [100 * turn["new_games_won_against_it"] / turn["new_games_against_opponent"] for turn in played],
        color=GREEN,
        marker=".",
        label="self-play, exploring with small searches",
    )
    wins.axhline(100 / int(config[-2]), color=GREY, linewidth=0.8)
    for result in results:
        wins.plot(result["minutes"], 100 * result["win_rate"], "*", color=ORANGE, markersize=12, label="final match")
    wins.set(title=f"{config}: first places against the heuristic, %", xlabel="minutes", ylim=(0, 100))
    wins.legend(loc="lower right")
    ratings = results[-1]["elo_by_turn"] if results else turns  # one fit at the end; until then that of each turn
    strength.fill_between(
        minutes, [row["low"] for row in ratings], [row["high"] for row in ratings], color=BLUE, alpha=0.2
    )
    strength.plot(minutes, [row["elo"] for row in ratings], color=BLUE, marker="o")
    promoted = [(turn["minutes"], row["elo"]) for turn, row in zip(turns, ratings, strict=True) if turn["promoted"]]
    strength.plot(*zip(*promoted, strict=True), "s", color=GREEN, label="promoted")
    strength.set(title="Elo above random play, one fit", xlabel="minutes")
    strength.legend(loc="lower right")
    losses.plot(minutes, [turn["validation_policy"] for turn in turns], color=BLUE, label="policy")
    losses.plot(minutes, [turn["validation_value"] for turn in turns], color=ORANGE, linestyle="--", label="value")
    losses.set(title="validation loss, nats", xlabel="minutes")
    losses.legend()
    samples.plot(minutes, [turn["games"] for turn in turns], color=BLUE, label="games made")
    samples.plot(
        minutes, [turn["samples"] for turn in turns], color=ORANGE, linestyle="--", label="samples in the window"
    )
    samples.set(title="data", xlabel="minutes", yscale="log")
    samples.legend()


if __name__ == "__main__":
    main()
