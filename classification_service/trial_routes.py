"""The HTTP face of trials and rollbacks."""

from flask import Response
from flask_openapi3 import APIBlueprint

from classification_service.routes import PREFIX, DatasetPath
from classification_service.trials import Trials as TrialDesk
from commons.adapters.web_app import answer
from commons.messages import Champion
from commons.trial_messages import ReignHistory, RollbackRequest, Trial, TrialRequest, Trials


def trial_routes(trials: TrialDesk) -> APIBlueprint:
    """Return the routes by which a network comes beside a champion, and a champion goes back."""
    routes = APIBlueprint("trials", __name__, url_prefix=PREFIX)

    @routes.post(
        "/champions/<dataset>/rollback",
        summary="Go back to the network that answered before; twice goes one further back",
        responses={200: Champion},
    )
    def roll_back(path: DatasetPath, body: RollbackRequest) -> Response:
        return answer(trials.roll_back(path.dataset, body))

    @routes.get(
        "/champions/<dataset>/history",
        summary="Promotions and rollbacks, newest first",
        responses={200: ReignHistory},
    )
    def history(path: DatasetPath) -> Response:
        return answer(ReignHistory(events=trials.history(path.dataset)))

    @routes.post(
        "/champions/<dataset>/trials",
        summary="Put a network on trial beside the champion",
        description="`check` compares both on the newest snapshot's validation images and "
        "promotes unless it is found worse; `canary` answers a share of the requests, `shadow` "
        "is only compared, and made for the champion's pixels. The job worker does the "
        "comparing. Where nobody answers yet the network is promoted at once. A trial that runs "
        "already ends.",
        responses={200: Trial},
    )
    def begin(path: DatasetPath, body: TrialRequest) -> Response:
        return answer(trials.begin(path.dataset, body))

    @routes.get(
        "/champions/<dataset>/trials",
        summary="The trials of a dataset, newest first",
        responses={200: Trials},
    )
    def list_trials(path: DatasetPath) -> Response:
        return answer(Trials(trials=trials.trials(path.dataset)))

    @routes.delete(
        "/champions/<dataset>/trials",
        summary="End the trial that runs; nobody is promoted",
        responses={200: Trial},
    )
    def stop(path: DatasetPath) -> Response:
        return answer(trials.stop(path.dataset))

    return routes
