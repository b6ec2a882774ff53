"""The HTTP face: parse, one call, answer."""

from flask import Response
from flask_openapi3 import APIBlueprint
from pydantic import BaseModel, Field

from commons.adapters.web_app import answer
from commons.messages import Individual, Message, Run, RunRequest
from evolver.runs import Runs

PREFIX = "/api/evolution/v1"


class RunPath(BaseModel):
    """A run by its id."""

    run: str


class IndividualPath(RunPath):
    """An individual of a run by its number."""

    number: int = Field(ge=1)


class IndividualsQuery(BaseModel):
    """Which individuals are listed."""

    after: int = Field(0, ge=0, description="Only those with a higher number")
    histories: bool = Field(False, description="With every epoch of every training")


class RunPage(Message):
    """Runs, newest first."""

    runs: list[Run]


class IndividualPage(Message):
    """Individuals of a run, oldest first."""

    individuals: list[Individual]


def create_blueprint(runs: Runs) -> APIBlueprint:
    """Return the routes over the use cases."""
    routes = APIBlueprint("evolution", __name__, url_prefix=PREFIX)

    @routes.post("/runs", summary="Start a run", responses={201: Run})
    def start(body: RunRequest) -> Response:
        return answer(runs.start(body), 201)

    @routes.get("/runs", summary="The latest runs, newest first", responses={200: RunPage})
    def list_runs() -> Response:
        return answer(RunPage(runs=runs.newest()))

    @routes.get("/runs/<run>", summary="How far a run is", responses={200: Run})
    def show(path: RunPath) -> Response:
        return answer(runs.get(path.run))

    @routes.get(
        "/runs/<run>/individuals",
        summary="The journal of a run",
        responses={200: IndividualPage},
    )
    def individuals(path: RunPath, query: IndividualsQuery) -> Response:
        found = runs.individuals(path.run, query.after, histories=query.histories)
        return answer(IndividualPage(individuals=found))

    @routes.get(
        "/runs/<run>/individuals/<int:number>/lineage",
        summary="An individual and all its ancestors, the oldest first",
        responses={200: IndividualPage},
    )
    def show_lineage(path: IndividualPath) -> Response:
        return answer(IndividualPage(individuals=runs.lineage(path.run, path.number)))

    @routes.get(
        "/runs/<run>/front",
        summary="The individuals that no other beats in all objectives",
        responses={200: IndividualPage},
    )
    def show_front(path: RunPath) -> Response:
        return answer(IndividualPage(individuals=runs.front(path.run)))

    @routes.get(
        "/runs/<run>/champion", summary="The best individual so far", responses={200: Individual}
    )
    def show_champion(path: RunPath) -> Response:
        return answer(runs.champion(path.run))

    @routes.post(
        "/runs/<run>/resume",
        summary="Go on with a run that its runner left before its end",
        responses={200: Run},
    )
    def resume(path: RunPath) -> Response:
        return answer(runs.resume(path.run))

    @routes.post(
        "/runs/<run>/stop", summary="End a run early with the best it has", responses={200: Run}
    )
    def stop(path: RunPath) -> Response:
        return answer(runs.stop(path.run))

    return routes
