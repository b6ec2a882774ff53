"""The HTTP face: parse, one call, answer."""

from collections.abc import Callable, Iterator

from flask import Response, stream_with_context
from flask_openapi3 import APIBlueprint
from pydantic import BaseModel, ConfigDict, Field

from commons.adapters.web_app import answer
from commons.messages import Discarded, Individual, Message, Run, RunRequest
from commons.worker_messages import WorkerPage
from evolver.runs import Runs
from evolver.trainers import Trainers
from evolver.watching import Happening, Watching

PREFIX = "/api/evolution/v1"
_EVENTS = (
    "`run` has a run whenever it changed, `training` a training that ended, with its number."
    " The stream ends with the run, or after a while: come back with `Last-Event-ID`."
)


class RunPath(BaseModel):
    """A run by its id."""

    run: str


class IndividualPath(RunPath):
    """An individual of a run by its number."""

    number: int = Field(ge=1)


class IndividualsQuery(BaseModel):
    """Which individuals are listed."""

    after: int = Field(0, ge=0, description="Only those with a higher number")
    limit: int | None = Field(None, ge=1, le=1000, description="So many at most; default: all")
    histories: bool = Field(False, description="With every epoch of every training")


class LimitsQuery(BaseModel):
    """What a network may cost."""

    max_latency_us: float | None = Field(
        None, gt=0.0, description="Microseconds for one image on one thread"
    )
    max_parameters: int | None = Field(None, ge=1)


class EventsHeader(BaseModel):
    """From where on a watcher that comes back is told what happened."""

    model_config = ConfigDict(populate_by_name=True)

    last_event_id: float = Field(
        0.0, alias="Last-Event-ID", ge=0.0, description="The id of the last event it got"
    )


class RunPage(Message):
    """Runs, newest first."""

    runs: list[Run]


class IndividualPage(Message):
    """Individuals of a run, oldest first."""

    individuals: list[Individual]


def create_blueprint(runs: Runs, watching: Watching, trainers: Trainers) -> APIBlueprint:
    """Return the routes over the use cases."""
    routes = APIBlueprint("evolution", __name__, url_prefix=PREFIX)
    _add_runs(routes, runs)
    _add_individuals(routes, runs)
    _add_events(routes, runs, watching)
    _add_workers(routes, trainers)
    return routes


def _add_runs(routes: APIBlueprint, runs: Runs) -> None:
    @routes.post("/runs", summary="Start a run", responses={201: Run})
    def start(body: RunRequest) -> Response:
        return answer(runs.start(body), 201)

    @routes.get("/runs", summary="The latest runs, newest first", responses={200: RunPage})
    def list_runs() -> Response:
        return answer(RunPage(runs=runs.newest()))

    @routes.get("/runs/<run>", summary="How far a run is", responses={200: Run})
    def show(path: RunPath) -> Response:
        return answer(runs.get(path.run))

    @routes.post(
        "/runs/<run>/stop", summary="End a run early with the best it has", responses={200: Run}
    )
    def stop(path: RunPath) -> Response:
        return answer(runs.stop(path.run))

    @routes.delete(
        "/runs/<run>/files",
        summary="Delete the weights and checkpoints that a run keeps; it cannot be resumed then",
        responses={200: Discarded},
    )
    def discard(path: RunPath) -> Response:
        return answer(runs.discard(path.run))

    @routes.post(
        "/runs/<run>/resume",
        summary="Go on with a run that its runner left before its end",
        responses={200: Run},
    )
    def resume(path: RunPath) -> Response:
        return answer(runs.resume(path.run))


def _add_individuals(routes: APIBlueprint, runs: Runs) -> None:
    @routes.get(
        "/runs/<run>/individuals",
        summary="The journal of a run",
        responses={200: IndividualPage},
    )
    def individuals(path: RunPath, query: IndividualsQuery) -> Response:
        found = runs.individuals(path.run, query.after, query.limit, histories=query.histories)
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
        "/runs/<run>/champion",
        summary="The best individual so far, or of those that cost no more",
        responses={200: Individual},
    )
    def show_champion(path: RunPath, query: LimitsQuery) -> Response:
        return answer(runs.champion(path.run, query.max_latency_us, query.max_parameters))


def _add_events(routes: APIBlueprint, runs: Runs, watching: Watching) -> None:
    @routes.get(
        "/runs/<run>/events",
        summary="What happens in a run, as server-sent events",
        description=_EVENTS,
        responses={
            200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}},
            204: {"description": "As many watch as can: ask again, or ask how far it is instead"},
        },
    )
    def events(path: RunPath, header: EventsHeader) -> Response:
        runs.get(path.run)
        if not watching.enter():
            return Response(status=204, headers={"Retry-After": "2"})
        lines = _lines(watching.watch(path.run, header.last_event_id))
        response = Response(
            stream_with_context(lines),
            mimetype="text/event-stream",
            headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
        )
        response.call_on_close(_once(watching.leave))
        return response


def _add_workers(routes: APIBlueprint, trainers: Trainers) -> None:
    @routes.get(
        "/workers",
        summary="Who trains now, and what",
        description="As of two seconds ago at most.",
        responses={200: WorkerPage},
    )
    def workers() -> Response:
        return answer(trainers.page())


def _lines(happenings: Iterator[Happening]) -> Iterator[str]:
    """Yield happenings in the words of `text/event-stream`."""
    yield "retry: 2000\n\n"
    for happening in happenings:
        if happening.message is None:
            yield ": still here\n\n"
            continue
        data = happening.message.model_dump_json()
        yield f"id: {happening.place!r}\nevent: {happening.kind}\ndata: {data}\n\n"


def _once(function: Callable[[], None]) -> Callable[[], None]:
    """Return a function that calls another one the first time only."""
    left = [function]

    def call() -> None:
        while left:
            left.pop()()

    return call
