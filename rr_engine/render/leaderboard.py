"""The leaderboard as one HTML page that needs nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from rr_engine.render.page import framed

Rows = Sequence[Mapping[str, Any]]

_STYLE = """
body { max-width: 100rem; } td, th { vertical-align: top; }
.wide { overflow-x: auto; } .charts { display: flex; flex-wrap: wrap; gap: 1rem; }
.charts svg, .charts img { max-width: 100%; height: auto; }
details { margin: .6rem 0; } summary { cursor: pointer; font-weight: 600; }
"""


_CURVES = re.compile(r"<!--curves (\w+)-->")


@dataclass(frozen=True)
class Section:
    """What is shown of one config below the table."""

    config: str
    numbers: Rows


def leaderboard_page(
    standings: Rows, sections: Sequence[Section], waits: Rows, workers: Rows, *, charts: Sequence[str], made_at: str
) -> str:
    """A line per config, curves and numbers of each, what each part of each loop waits for, and who works.

    `charts` are those of all configs together.
    """
    more = (("What goes on, and what waits", waits), ("Who works", workers))
    tables = "".join(f"<h2>{title}</h2>{_table(rows)}" for title, rows in more if rows)
    body = (
        f"<p class=quiet>{escape(made_at)}</p>{_table(standings)}"
        f"{_charts(charts)}{''.join(map(_section, sections))}{tables}\n"
    )
    return framed("RingRift leaderboard", body, style=_STYLE)


def _section(section: Section) -> str:
    told = f"<!--curves {section.config}-->{_table(section.numbers)}"
    return f"<details id={section.config}><summary>{escape(section.config)}</summary>{told}</details>"


def places_of_curves(page: str) -> list[str]:
    """The configs whose curves have a place in a page."""
    return _CURVES.findall(page)


def with_curves(page: str, curves_of: Callable[[str], Sequence[str]]) -> str:
    """A page with the curves of each config, as HTML, in their places."""
    return _CURVES.sub(lambda place: _charts(curves_of(place[1])), page)


def _charts(charts: Sequence[str]) -> str:
    return f'<div class="charts">{"".join(charts)}</div>' if charts else ""


def _table(rows: Rows) -> str:
    """A line per row; None shows as a dash."""
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{'-' if value is None else escape(str(value))}</td>" for value in row.values()) + "</tr>"
        for row in rows
    )
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
