"""`python -m benchmarks.swarm COMMAND`: the stack on a swarm of this machine, and what it stands.

`all` does everything and leaves nothing: images, engines, a swarm, the stack, the steps of
`benchmarks.swarm_steps`, the report. The other commands do parts of it in a folder that stays, so
that what takes an hour can be done in pieces.
"""

import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from benchmarks import swarm_images
from benchmarks.frame import (
    WORK,
    Findings,
    show,
    surroundings,
    termination_interrupts,
    write_report,
)
from benchmarks.swarm_engine import is_installed, mounts_below
from benchmarks.swarm_house import House
from benchmarks.swarm_nodes import Nodes
from benchmarks.swarm_rows import grid, rows, size_grid
from benchmarks.swarm_steps import SHORT, Scene, all_steps
from commons.errors import DiceboxError, UnavailableError

_FOLDER = WORK / "swarm"


@click.group()
@click.option(
    "--folder", type=click.Path(path_type=Path), default=_FOLDER, help="Where all of it is."
)
@click.option("--nodes", default=1, show_default=True, type=click.IntRange(1, 9))
@click.option(
    "--without", multiple=True, type=click.Choice(["trainer", "evolver"]), help="For a short look."
)
@click.option("--rate", default=200.0, show_default=True, help="Classifications a second.")
@click.option("--run", "run_s", default=60.0, show_default=True, help="Seconds of the evolution.")
@click.pass_context
def swarm(
    context: click.Context,
    folder: Path,
    nodes: int,
    without: Sequence[str],
    rate: float,
    run_s: float,
) -> None:
    """Deploy, load, break and update the stack on Docker engines of its own; as root."""
    if os.geteuid() != 0:
        raise click.ClickException("engines and network namespaces need root")
    if not is_installed():
        raise click.ClickException("dockerd is not installed: tests/system_packages.sh swarm")
    folder.mkdir(parents=True, exist_ok=True)
    environ = {"TRAINERS": "0"} if "trainer" in without else {}
    if "evolver" in without:
        environ |= {"EVOLVERS": "0", "EVOLVER_RUNNERS": "0"}
    house = House(Nodes(folder.resolve(), nodes), environ)
    context.obj = (Scene(house, classifications=rate, run_s=run_s), tuple(without))


@swarm.command()
@click.pass_obj
def images(told: tuple[Scene, Sequence[str]]) -> None:
    """Make the base image and build every role's."""
    scene, without = told
    builder = scene.house.nodes.builder
    builder.start()
    try:
        started = time.monotonic()
        swarm_images.make_base(builder, scene.house.folder)
        _keep(scene, "base image", {"seconds": time.monotonic() - started})
        started = time.monotonic()
        swarm_images.build(builder, without)
        _keep(scene, "images", {"seconds": time.monotonic() - started})
        sizes = swarm_images.sizes(builder.docker)
    finally:
        builder.stop()
    (scene.house.folder / "sizes.json").write_text(json.dumps(sizes), encoding="utf-8")
    click.echo(json.dumps(sizes))


@swarm.command()
@click.pass_obj
def start(told: tuple[Scene, Sequence[str]]) -> None:
    """Start the engines and make them a swarm; images go to all of them."""
    scene, _ = told
    started = time.monotonic()
    nodes = scene.house.nodes
    nodes.up()
    _keep(scene, "engines and swarm", {"seconds": time.monotonic() - started})
    engines = [node.engine.docker for node in nodes.all]
    swarm_images.hand_on(nodes.builder, engines, scene.house.folder / "images.tar")


@swarm.command()
@click.argument("names", nargs=-1, required=True)
@click.pass_obj
def step(told: tuple[Scene, Sequence[str]], names: Sequence[str]) -> None:
    """Take some steps, in the order they are named."""
    scene, _ = told
    known = all_steps(scene.house.nodes.count)
    for name in names:
        if name not in known:
            raise click.ClickException(f"no step is named {name!r}; there are: {', '.join(known)}")
        _take(scene, name)


@swarm.command()
@click.pass_obj
def stop(told: tuple[Scene, Sequence[str]]) -> None:
    """End the engines; what is on disk stays."""
    nodes = told[0].house.nodes
    nodes.stop()
    left = nodes.leftovers()
    if left:
        raise click.ClickException(f"left behind: {', '.join(left)}")


@swarm.command()
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the report there."
)
@click.pass_obj
def report(told: tuple[Scene, Sequence[str]], json_file: Path | None) -> None:
    """Show what all steps came to so far."""
    _report(told[0], json_file)


@swarm.command("all")
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path), help="Write the report there."
)
@click.option("--short", is_flag=True, help="A few steps only, of those that train nothing.")
@click.pass_context
def everything(context: click.Context, json_file: Path | None, short: bool) -> None:
    """Do all of it, from nothing to nothing."""
    scene, without = context.obj
    nodes = scene.house.nodes
    nodes.stop()
    scene.house.erase()
    with termination_interrupts():
        try:
            context.invoke(images)
            context.invoke(start)
            for name in all_steps(nodes.count):
                if not _needs_who_is_away(name, without) and (not short or name in SHORT):
                    _take(scene, name)
            scene.house.down()
        finally:
            nodes.stop()
    left = [*nodes.leftovers(), *mounts_below(scene.house.folder)]
    _keep(scene, "what is left", {"seconds": 0.0, "note": ", ".join(left) or "nothing"})
    _report(scene, json_file)
    scene.house.erase()


def _needs_who_is_away(name: str, without: Sequence[str]) -> bool:
    return any(role in name for role in without) or (bool(without) and name.startswith("evolve"))


def _take(scene: Scene, name: str) -> None:
    click.echo(f"{name} …", err=True)
    try:
        found = all_steps(scene.house.nodes.count)[name](scene)
    except DiceboxError as error:
        raise click.ClickException(f"{name}: {error}") from error
    _keep(scene, name, {**vars(found), "figures": dict(found.figures)})
    counted = f"{found.requests} requests, {found.failed} failed, {found.lost} lost"
    click.echo(f"  {found.seconds:.1f} s, {counted}  {found.note}", err=True)


def _keep(scene: Scene, name: str, found: dict[str, object]) -> None:
    steps = _steps(scene)
    nothing: dict[str, object] = {"requests": 0, "failed": 0, "lost": 0, "note": "", "figures": {}}
    steps[name] = {**nothing, **found}
    _steps_file(scene).write_text(json.dumps(steps, indent=1), encoding="utf-8")


def _steps(scene: Scene) -> dict[str, dict[str, object]]:
    file = _steps_file(scene)
    found: dict[str, dict[str, object]] = json.loads(file.read_text()) if file.exists() else {}
    return found


def _steps_file(scene: Scene) -> Path:
    return scene.house.folder / "steps.json"


def _report(scene: Scene, json_file: Path | None) -> None:
    steps = _steps(scene)
    if not steps:
        raise UnavailableError("no step was taken yet")
    file = scene.house.folder / "sizes.json"
    sizes = json.loads(file.read_text()) if file.exists() else {}
    findings = Findings(
        rows(steps, sizes),
        details={"steps": steps, "sizes": sizes},
        grids=(grid(steps), size_grid(sizes)),
    )
    show(findings, Console())
    if json_file is not None:
        write_report(json_file, surroundings("swarm", quick=False), findings)


if __name__ == "__main__":
    swarm()
