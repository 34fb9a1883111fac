"""`rr-cluster`: start, look at and stop a whole cluster on this machine."""

from typing import Annotated

import typer

from rr_assets.cluster.trial import Trial, default_folder
from rr_engine.cli import run_command
from rr_engine.cli_shown import AsJson, Quiet, print_table, say, watching

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, no_args_is_help=True)


def main() -> None:
    """Run `rr-cluster`."""
    run_command(app, "rr-cluster")


@app.command()
def up(
    gpu_workers: Annotated[int, typer.Option(min=1, help="Workers for self-play and training.")] = 1,
    cpu_slots: Annotated[int, typer.Option(min=1, help="Runs of other kinds at once.")] = 2,
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Start database, broker, store, coordinator and workers; tells where the pages are."""
    trial = Trial(default_folder())
    workers = {f"gpu{number}": "trainer" for number in range(1, gpu_workers + 1)}
    with watching(quiet=quiet) as watch:
        trial.up(workers, cpu_slots=cpu_slots, watch=watch)
    facts = {"pages": trial.pages, "games": trial.play, "logs": f"{trial.folder}/log"}
    told = (
        f"Dagster at {trial.pages}, games at {trial.play}, logs in {trial.folder}/log; "
        "commands join by: eval $(rr-cluster env)"
    )
    say(facts, told, as_json=as_json)


@app.command()
def down(quiet: Quiet = False) -> None:
    """Stop what `up` started, and nothing else."""
    with watching(quiet=quiet) as watch:
        Trial(default_folder()).down(watch)
    typer.echo("stopped")


@app.command()
def status(as_json: AsJson = False) -> None:
    """What each part does; exit status 1 if nothing runs."""
    processes = Trial(default_folder()).processes()
    if not processes:
        typer.echo("no cluster runs here", err=as_json)
        raise typer.Exit(1)
    rows = [{"part": row["name"], "state": row["statename"], "told": row["description"]} for row in processes]
    print_table(rows, as_json=as_json, right=False)


@app.command()
def env() -> None:
    """The variables, secrets among them, by which a shell becomes part of the cluster."""
    for name, value in Trial(default_folder()).environment.items():
        typer.echo(f"export {name}='{value}'")
