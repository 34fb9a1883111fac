"""`rr vault`: whole vaults, by hand. Parses arguments and prints; what is done is done in `vault` and `stages`."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rr_engine.cli_shown import AsJson, Quiet, opened_vault, say, watching
from rr_engine.progress import Task

if TYPE_CHECKING:
    from rr_engine.vault.compare import Comparison
    from rr_engine.vault.sweep import Removal

vault = typer.Typer(help="Look after whole vaults: compare, copy, verify, clear.", no_args_is_help=True)
_SHOWN = 10  # names of one kind of difference in one folder
_Url = Annotated[str | None, typer.Argument(help="A folder or URL; else RR_VAULT, else data beside the project.")]
_One = Annotated[str, typer.Argument(help="A folder or URL, such as s3://bucket/prefix.")]
_Lists = Annotated[bool, typer.Option("--list", help="List distant folders too, whatever their index says.")]


@vault.command()
def index(url: _Url = None, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Make the index of a vault anew wherever it is missing, damaged or out of date, and print the roots."""
    from rr_engine.vault.index import Index

    opened = Index(opened_vault(url, expected=True).backend)
    with watching(quiet=quiet) as watch:
        folders = opened.folders()
        for folder in watch(Task("folders", len(folders))).each(folders):
            root = opened.refresh(folder, thorough=True)
            say({"folder": str(folder), "root": root}, f"{root} {folder}", as_json=as_json)


@vault.command()
def diff(a: _One, b: _One, lists: _Lists = False, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """What only one of two vaults has, and what has other bytes in them; exit status 1 if there is anything.

    Files with one name and other bytes are damaged, or the two vaults were written apart. Local folders are listed; of
    a distant vault the newest index is trusted.
    """
    from rr_engine.vault.compare import compare

    began = time.perf_counter()
    with watching(quiet=quiet) as watch:
        found = compare(opened_vault(a), opened_vault(b), lists=lists, watch=watch)
    seconds = round(time.perf_counter() - began, 3)
    if as_json:
        typer.echo(json.dumps(_as_facts(found, seconds)))
    else:
        _print(found, a, b, seconds)
    raise typer.Exit(1 if found.differences else 0)


@vault.command()
def mirror(a: _One, b: _One, lists: _Lists = False, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Copy into the vault B what A has and B has not; nothing is overwritten or removed there.

    Exit status 1 if something could not be copied: names with other bytes in B, damage in A.
    """
    from rr_engine.stages.mirror import keep

    with watching(quiet=quiet) as watch:

        def tell(folder: str, missing: int) -> None:
            watch.say(f"{folder}: {missing} files to copy")

        done = keep(opened_vault(a), opened_vault(b), lists=lists, on_folder=tell, watch=watch)
    if as_json:
        typer.echo(json.dumps({**done.facts, "problems": list(done.problems)}))
    else:
        for problem in done.problems:
            typer.echo(problem)
        facts = done.facts
        typer.echo(
            f"{facts['files_copied']} files copied, {facts['folders_equal']} of {facts['folders']} folders are equal, "
            f"{facts['only_in_second']} files are only in {b}; {facts['bytes_exchanged']['beside_artefacts']} bytes "
            f"exchanged beside {facts['bytes_copied']} of artefacts in {facts['seconds']} s"
        )
    raise typer.Exit(1 if done.problems else 0)


@vault.command()
def verify(
    url: _Url = None,
    config: Annotated[list[str] | None, typer.Option(help="Only this config, or `all`; may be repeated.")] = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Hash every artefact again, read every card, pointer and claim, follow every name; exit status 1 on a problem.

    The last line counts; each line before it is a problem.
    """
    from rr_engine.vault.audit import Audit

    problems = 0
    with watching(quiet=quiet) as watch:
        audit = Audit(opened_vault(url, expected=True), tuple(config or ()), watch)
        for problem in audit.problems():
            say({"problem": problem}, problem, as_json=as_json)
            problems += 1
    total = f"TOTAL artefacts={audit.artefacts} bytes={audit.bytes} problems={problems}"
    say({"artefacts": audit.artefacts, "bytes": audit.bytes, "problems": problems}, total, as_json=as_json)
    raise typer.Exit(1 if problems else 0)


@vault.command()
def gc(
    url: _Url = None,
    delete: Annotated[bool, typer.Option("--delete", help="Do it; else it is only told.")] = False,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """What no card or pointer reaches, and what is superseded by the settings `retention`: each with its bytes.

    The last line counts.
    """
    from rr_engine.settings import load
    from rr_engine.stages import retention

    opened, settings, now = opened_vault(url, expected=True), load().retention, datetime.now(UTC)
    count = total = 0

    def tell(removal: Removal) -> None:
        nonlocal count, total
        for name, found in removal.files.items():
            facts = {"file": name, "bytes": found.size, "why": removal.why}
            say(facts, f"{name} {found.size} bytes: {removal.why}", as_json=as_json)
        count += len(removal.files)
        total += removal.size

    with watching(quiet=quiet) as watch:
        if delete:
            retention.clear(opened, settings, now, on_removed=tell, watch=watch)
        else:
            for removal in retention.removable(opened, settings, now, watch=watch):
                tell(removal)
    told = f"TOTAL files={count} bytes={total} {'removed' if delete else 'to remove: --delete does it'}"
    say({"files": count, "bytes": total, "removed": delete}, told, as_json=as_json)


def _as_facts(found: Comparison, seconds: float) -> dict[str, Any]:
    return {
        "equal": not found.differences,
        "folders": found.folders,
        "different": {
            str(folder): {
                "only_a": sorted(difference.only_a),
                "only_b": sorted(difference.only_b),
                "other_bytes": sorted(difference.other),
            }
            for folder, difference in found.differences.items()
        },
        "bytes_exchanged": {"a": found.a.facts(), "b": found.b.facts()},
        "beside_artefacts": (found.a + found.b).beside_artefacts,
        "seconds": seconds,
    }


def _print(found: Comparison, a: str, b: str, seconds: float) -> None:
    for folder, difference in found.differences.items():
        kinds = ((f"only in {a}", difference.only_a), (f"only in {b}", difference.only_b))
        for what, names in (*kinds, ("other bytes", difference.other)):
            if names:
                typer.echo(f"{folder}: {len(names)} {what}")
            for name in sorted(names)[:_SHOWN]:
                typer.echo(f"  {name}")
            if len(names) > _SHOWN:
                typer.echo(f"  and {len(names) - _SHOWN} more; --json names all")
    exchanged = (found.a + found.b).beside_artefacts
    typer.echo(
        f"{found.folders - len(found.differences)} of {found.folders} folders are equal; "
        f"{exchanged} bytes exchanged in {seconds} s"
    )
