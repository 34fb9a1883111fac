"""Facts of a stage as Dagster metadata: typed, readable, nothing computed."""

import base64
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import dagster as dg

from rr_engine.settings import Settings
from rr_engine.stages import curves
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


_DIGITS = 5  # of a number in a table
_COLUMN_TYPES = {bool: "bool", int: "int", float: "float"}


def table(rows: Sequence[Mapping[str, Any]], *, but: Collection[str] = ()) -> dg.TableMetadataValue:
    """Rows with the same keys as a table, `but` some; numbers keep their type, None shows as a dash."""
    rows = [{name: value for name, value in row.items() if name not in but} for row in rows]
    columns = [dg.TableColumn(name, _column_type([row[name] for row in rows])) for name in rows[0]]
    records = [dg.TableRecord({name: _cell(value) for name, value in row.items()}) for row in rows]
    return dg.MetadataValue.table(records, dg.TableSchema(columns))


def _column_type(values: Sequence[Any]) -> str:
    known = {_COLUMN_TYPES.get(type(value), "string") for value in values if value is not None}
    return known.pop() if len(known) == 1 else "string"


def _cell(value: Any) -> str | int | float | bool:
    if value is None:
        return "-"
    if type(value) is float:
        return float(f"{value:.{_DIGITS}g}")
    return value if type(value) in _COLUMN_TYPES else str(value)


def _inline(svg: str) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def of_highlights(highlights: Sequence[Highlight], config: str, settings: Settings) -> dict[str, dg.MetadataValue[Any]]:
    """A picture of each game, and how to look at all of it.

    Dagster shows markdown of 1,000 characters and more only on a click: so what is seen at once is a link to the
    picture at `rr serve`; behind the click, under the same name and `_kept`, is the picture itself.
    """
    found: dict[str, dg.MetadataValue[Any]] = {}
    for shown in highlights:
        name, about = shown.title.replace(" ", "_"), f"{shown.about}: `rr games replay {shown.game} --config {config}`"
        if url := settings.serve.url:
            picture = f"![{shown.title}]({url}/board/{config}/{shown.game}/{shown.at})"
            all_of_it = f"[step through it]({url}/replay/{config}/{shown.game})"
            found[name] = dg.MetadataValue.md(f"{picture}\n\n{all_of_it}, {about}")
        found[f"{name}_kept"] = dg.MetadataValue.md(f"![{shown.title}]({_inline(shown.picture)})\n\n{about}")
    return found


def of_charts(places: Sequence[str], settings: Settings) -> dict[str, dg.MetadataValue[Any]]:
    """Charts that `rr serve` draws at these places, beside each other; nothing where nobody says where it is."""
    if not settings.serve.url:
        return {}
    charts = " ".join(f"![chart]({settings.serve.url}/{place})" for place in places)
    return {"charts": dg.MetadataValue.md(charts)}


def of_curves(of: str, config: str, settings: Settings) -> dict[str, dg.MetadataValue[Any]]:
    """The curves of a config that the asset `of` adds points to."""
    return of_charts(curves.places(config, of), settings)


def of_page(path: str, file: str, settings: Settings) -> dict[str, dg.MetadataValue[Any]]:
    """A page, as the file that it is and as `rr serve` shows it."""
    link = {"page": dg.MetadataValue.url(f"{settings.serve.url}/{path}")} if settings.serve.url else {}
    return {**link, "page_file": dg.MetadataValue.path(file)}


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
