"""The leaderboard as one HTML page that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

_STYLE = (
    "body{font:15px/1.4 system-ui,sans-serif;margin:2rem;color-scheme:light dark}"
    "table{border-collapse:collapse}td,th{padding:.3rem .7rem;text-align:left;border-bottom:1px solid #8886}"
)


Rows = Sequence[Mapping[str, Any]]


def leaderboard_page(standings: Rows, waits: Rows, workers: Rows, made_at: str) -> str:
    """The standing of every config, below it what each part of each loop waits for, and who works, if that is known."""
    who = f"<h2>Who works</h2>{_table(workers)}" if workers else ""
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>RingRift leaderboard</title>'
        f"<style>{_STYLE}</style><h1>RingRift leaderboard</h1><p>{escape(made_at)}</p>{_table(standings)}"
        f"<h2>What goes on, and what waits</h2>{_table(waits)}{who}</html>\n"
    )


def _table(rows: Rows) -> str:
    """A line per row; None shows as a dash."""
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{'-' if value is None else escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
