"""Rows as text in columns."""

from collections.abc import Mapping, Sequence
from typing import Any


def columns(rows: Sequence[Mapping[str, Any]], *, right: bool = True) -> str:
    """Rows with the same keys, at least one, under their names; cells lean to the right, or to the left."""
    lines = [list(rows[0]), *([str(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(rows[0]))]

    def cell(text: str, width: int) -> str:
        return text.rjust(width) if right else text.ljust(width)

    return "\n".join("  ".join(map(cell, line, widths)).rstrip() for line in lines)
