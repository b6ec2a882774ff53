"""Puts a report together: what the pure modules compute, the pictures, the template."""

import base64
import hashlib
import json
from collections.abc import Callable
from functools import partial
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dicebox.report import plots, words
from dicebox.report.costs import costs, failures, savings
from dicebox.report.examination import Examination, Mistake
from dicebox.report.front import front, measuring_cpu
from dicebox.report.gather import RunFacts
from dicebox.report.genes import gene_statistics
from dicebox.report.genome_table import layer_rows, recipe_rows
from dicebox.report.lineage import ancestors, edges, main_line
from dicebox.report.operators import operator_figures
from dicebox.report.rungs import rung_figures
from dicebox.report.trials import Timeline, fitness, records, timeline

_MOST_IN_MATRIX = 30
_MOST_MIXUPS = 15
_MOST_GENES = 12
_SHADES = 9


def render(facts: RunFacts, made: float, version: str) -> str:
    """Return the report of a run as one HTML file that needs nothing else.

    Args:
        facts: What is known of the run.
        made: Now, in unix seconds.
        version: Of the Dicebox that makes it.
    """
    environment = Environment(
        loader=PackageLoader("dicebox.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    names = ("percent", "points", "direction", "seconds", "count", "moment", "machine")
    environment.filters |= {name: getattr(words, name) for name in names}
    environment.filters["picture_data"] = _picture_data
    style = (files("dicebox.report") / "templates" / "report.css").read_text(encoding="utf-8")
    return environment.get_template("report.html.jinja").render(
        made=made,
        version=version,
        style=Markup(style),  # noqa: S704 - our own file
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        **_view(facts),
    )


def _view(facts: RunFacts) -> dict[str, Any]:
    """Return all that the template shows; None for a part there is nothing to show in."""
    run, individuals = facts.run, facts.individuals
    time = timeline(individuals)
    found = records(time.trials)
    images = facts.snapshot.counts.get("validation") if facts.snapshot else None
    trained = any(fitness(one) is not None for one in individuals)
    names = {trial.evaluation.worker for trial in time.trials} - {None}
    workers = run.request.workers or max(1, len(names))
    view = {
        "facts": facts,
        "run": run,
        "images": images,
        "asked_for": words.asked_for(run),
        "budget": words.budget(run),
        "time": time,
        "costs": costs(time.trials, run.progress.seconds, workers) if time.trials else None,
        "workers": workers,
        "failures": failures(time.trials),
        "savings": savings(time.trials),
        "operators": operator_figures(individuals),
        "genes": gene_statistics(individuals),
        "most_genes": _MOST_GENES,
        "rungs": rung_figures(individuals),
        "champion": _champion(facts, images),
        "examination": _examined(facts.examination),
        "pictures": {},
    }
    if found and trained:
        view["records"] = found
        view["pictures"] = _pictures(facts, time, images)
    return view


def _pictures(facts: RunFacts, time: Timeline, images: int | None) -> dict[str, Markup | None]:
    individuals, champion = facts.individuals, facts.champion
    family = ancestors(facts.by_number, champion.number) if champion else []
    drawn: dict[str, Callable[[], str] | None] = {
        "anytime": partial(plots.anytime_curve, time, records(time.trials), images),
        "population": partial(plots.population_picture, individuals, time, images),
        "rungs": partial(plots.rung_picture, individuals, images)
        if len(rung_figures(individuals)) > 1
        else None,
        "lineage": partial(
            plots.lineage_picture,
            facts.by_number,
            family,
            edges(facts.by_number, family),
            images,
        )
        if family
        else None,
    }
    number = champion.number if champion else None
    by_parameters = front(individuals, "parameters")
    drawn["parameters"] = partial(
        plots.front_picture, by_parameters, number, "parameters", "size", images
    )
    by_latency = front(individuals, "latency_us")
    drawn["latency"] = (
        partial(plots.front_picture, by_latency, number, "microseconds an image", "latency", images)
        if by_latency
        else None
    )
    return {
        name: Markup(draw()) if draw else None  # noqa: S704 - escaped by the XML writer
        for name, draw in drawn.items()
    }


def _champion(facts: RunFacts, images: int | None) -> dict[str, Any] | None:
    """Return what is shown of the best individual, None if there is none."""
    one = facts.champion
    if one is None:
        return None
    run, card = facts.run, facts.card
    accuracy = card.metrics.validation_accuracy if card else run.progress.best
    categories = len(facts.snapshot.categories) if facts.snapshot else 0
    return {
        "individual": one,
        "accuracy": accuracy,
        "parameters": card.metrics.parameters if card else one.parameters,
        "error": words.standard_error(accuracy, images)
        if accuracy is not None and images
        else None,
        "layers": layer_rows(one.genome, run.shape, categories),
        "recipe": recipe_rows(one.genome),
        "json": json.dumps(one.genome, indent=2),
        "line": main_line(facts.by_number, one.number),
        "front": [point for point in front(facts.individuals, "parameters") if point.on_front],
        "cpu": measuring_cpu(facts.individuals),
    }


def _examined(examination: Examination | None) -> dict[str, Any] | None:
    if examination is None or not examination.confusion.images:
        return None
    confusion = examination.confusion
    return {
        "of": examination,
        "categories": confusion.categories(),
        "mixups": confusion.mixups(_MOST_MIXUPS),
        "matrix": _shaded(confusion.matrix) if len(confusion.names) <= _MOST_IN_MATRIX else None,
        "most_in_matrix": _MOST_IN_MATRIX,
    }


def _shaded(matrix: list[list[int]]) -> list[list[tuple[int, int]]]:
    """Return (count, shade from 0 to 9) of every cell, by its share of the row."""
    rows: list[list[tuple[int, int]]] = []
    for row in matrix:
        total = max(1, sum(row))
        # What is not nothing is seen.
        rows.append([(n, max(1, round(_SHADES * n / total)) if n else 0) for n in row])
    return rows


def _picture_data(mistake: Mistake) -> str:
    return f"data:image/webp;base64,{base64.b64encode(mistake.picture or b'').decode()}"
