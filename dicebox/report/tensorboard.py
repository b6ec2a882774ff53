"""Writes a run's journal as TensorBoard logs: one run of TensorBoard's an individual."""

from collections.abc import Sequence
from pathlib import Path

from tensorboardX import SummaryWriter
from tensorboardX.summary import hparams

from commons.messages import Individual
from dicebox.report.genome_diff import flat
from dicebox.report.trials import FINAL, fitness


def write_logs(individuals: Sequence[Individual], folder: Path) -> int:
    """Write accuracy and loss of every epoch, and the genome as hyperparameters.

    Args:
        individuals: The journal, with the histories of its trainings.
        folder: Gets one folder an individual, named by its number. What was written there
            before is replaced: TensorBoard would show both.

    Returns:
        How many individuals had something to write.
    """
    written = 0
    for one in individuals:
        if any(each.history or each.accuracy is not None for each in one.evaluations):
            place = folder / f"{one.number:06d}"
            for before in place.glob("events.out.tfevents.*"):
                before.unlink()
            with SummaryWriter(str(place)) as writer:
                _write(one, writer)
            written += 1
    return written


def _write(one: Individual, writer: SummaryWriter) -> None:
    seen = {"search": (0, 0.0), FINAL: (0, 0.0)}
    for evaluation in one.evaluations:
        part = FINAL if evaluation.rung == FINAL else "search"
        # The history of a rung that went on begins with that of the one below.
        last, before_s = seen[part] if evaluation.resumed else (0, 0.0)
        for epoch in evaluation.history:
            if epoch.epoch > last:
                at = None
                if evaluation.started is not None:
                    at = evaluation.started + epoch.seconds - before_s
                writer.add_scalar(f"{part}/accuracy", epoch.accuracy, epoch.epoch, walltime=at)
                writer.add_scalar(f"{part}/loss", epoch.loss, epoch.epoch, walltime=at)
                seen[part] = (epoch.epoch, epoch.seconds)
    metrics = {
        name: value
        for name, value in (("fitness", fitness(one)), ("accuracy", one.accuracy))
        if value is not None
    }
    for summary in hparams(_hyperparameters(one), metrics):
        writer.file_writer.add_summary(summary)
    for name, value in metrics.items():
        writer.add_scalar(name, value, 0)


def _hyperparameters(one: Individual) -> dict[str, bool | float | str]:
    recipe = flat(one.genome.get("training", {}))
    layers = [*one.genome.get("features", ()), *one.genome.get("classifier", ())]
    return {
        "operator": one.operator,
        "network": one.description,
        "head": str(one.genome.get("head")),
        "layers": len(layers),
        "parameters": one.parameters,
        **{
            name: value if isinstance(value, bool | int | float) else str(value)
            for name, value in recipe.items()
        },
    }
