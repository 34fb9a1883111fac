"""Facts of a stage as Dagster metadata: typed, readable, nothing computed."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from rr_engine.stages.highlights import Highlight
from rr_engine.vault import Card


def of_facts(facts: Mapping[str, Any]) -> dict[str, dg.MetadataValue[Any]]:
    """A metadata entry per fact."""
    return {name: _value(value) for name, value in facts.items() if value is not None}


def _value(value: Any) -> dg.MetadataValue[Any]:
    if isinstance(value, bool):
        return dg.MetadataValue.bool(value)
    if isinstance(value, int):
        return dg.MetadataValue.int(value)
    if isinstance(value, float):
        return dg.MetadataValue.float(float(value))  # numpy's are floats too, but Dagster stores plain ones only
    if isinstance(value, str):
        return dg.MetadataValue.text(value)
    return dg.MetadataValue.json(value)


def of_card(card: Card) -> dict[str, dg.MetadataValue[Any]]:
    """What identifies an artefact."""
    return {
        "sha256": dg.MetadataValue.text(card.sha256),
        "size_bytes": dg.MetadataValue.int(card.size),
        "dagster/row_count": dg.MetadataValue.int(card.rows),
        "vault_name": dg.MetadataValue.text(card.name),
        "parents": dg.MetadataValue.json(list(card.parents)),
    }


_COLUMN_TYPES = {bool: "bool", int: "int", float: "float"}


def table(rows: Sequence[Mapping[str, Any]]) -> dg.TableMetadataValue:
    """Rows with the same keys as a table; numbers keep their type, None shows as a dash."""
    columns = [dg.TableColumn(name, _column_type([row[name] for row in rows])) for name in rows[0]]
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _column_type(values: Sequence[Any]) -> str:
    known = {_COLUMN_TYPES.get(type(value), "string") for value in values if value is not None}
    return known.pop() if len(known) == 1 else "string"


def _cell(value: Any) -> str | int | float | bool:
    if value is None:
        return "-"
    return value if type(value) in _COLUMN_TYPES else str(value)


def _picture(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def of_highlights(highlights: Sequence[Highlight], config: str) -> dict[str, dg.MetadataValue[Any]]:
    """A picture of each game, and how to look at all of it."""
    return {
        shown.title.replace(" ", "_"): dg.MetadataValue.md(
            f"![{shown.title}]({_picture(shown.picture)})\n\n"
            f"{shown.about}: `rr games replay {shown.game} --config {config}`"
        )
        for shown in highlights
    }


def judged(
    problems: Sequence[str],
    facts: Mapping[str, Any],
    *,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
    check: str | None = None,
) -> dg.AssetCheckResult:
    """A check's result: passed without problems, else what is wrong stands in the description.

    `check` names it where an asset judges itself.
    """
    return dg.AssetCheckResult(
        check_name=check,
        passed=not problems,
        severity=severity,
        description="; ".join(problems[:3]) or None,
        metadata=of_facts({**facts, "problems": list(problems)}),
    )
