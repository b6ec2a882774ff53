"""How a worker stores a result: create-once, and with patience."""

import logging
from collections.abc import Callable

from commons.errors import DiceboxError
from commons.jobs import JobResult, result_blob, stored_result
from commons.ports import Blobs, Clock

_STORE_FOR_S = 120.0
_FIRST_DELAY_S, _LONGEST_DELAY_S = 0.1, 5.0
_LOG = logging.getLogger(__name__)


def keep_result(
    blobs: Blobs,
    clock: Clock,
    result: JobResult,
    *,
    wanted: Callable[[], bool] = lambda: True,
    patient: Callable[[], bool] = lambda: True,
) -> JobResult | None:
    """Return what the blobs hold of a job in the end; nothing where they take nothing.

    Args:
        blobs: Where it goes, once.
        clock: Says for how long that was tried.
        result: What the job gave.
        wanted: Says whether it may still be stored.
        patient: Says whether it is tried again, for two minutes at most.
    """
    until, delay_s = clock.monotonic() + _STORE_FOR_S, _FIRST_DELAY_S
    while wanted():
        try:
            known = stored_result(blobs, result.id)
            if known is None and not blobs.put(
                result_blob(result.id), result.model_dump_json().encode()
            ):
                known = stored_result(blobs, result.id)
            return known or result
        except DiceboxError as error:
            _LOG.warning("cannot store what %s gave: %s", result.id, error)
            if not patient() or clock.monotonic() > until:
                break
        clock.sleep(delay_s)
        delay_s = min(2 * delay_s, _LONGEST_DELAY_S)
    return None
