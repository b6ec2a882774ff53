"""Prometheus figures of a service: its requests, what it counts, and what its tables say.

Several processes may serve one address, and a scrape reaches any one of them. So counts go to
files that all of them share (`prometheus_client`'s multiprocess mode, see
`commons.adapters.shared_counts`) and the answer is their sum; what
can be read from the tables is read at the scrape, where it is the same for all.
"""

import os
import threading
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from flask import request
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from commons.adapters.shared_counts import FOLDER
from commons.errors import DiceboxError

# From a tenth of a millisecond, which a classification takes, to what a long poll does.
_BUCKETS = (
    *(0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05),
    *(0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0),
)
_BATCH_SIZES = (1, 2, 4, 8, 16, 32, 64)
# Name, help and label of a gauge, to the function that reads its values by label.
Gauges = Mapping[tuple[str, str, str], Callable[[], Mapping[str, float]]]


class ServiceMetrics:
    """What one service counts; `service` is a label of all of it.

    Args:
        service: Path of the service, which tells it from others in the same process.
        gauges: What is read from the tables at a scrape.
    """

    def __init__(self, service: str, gauges: Gauges | None = None) -> None:
        self._service = service
        self._registry = CollectorRegistry()
        self._gauges = _GaugeCollector(service, gauges or {})
        self._requests = Counter(
            "dicebox_requests",
            "Requests answered",
            ("service", "method", "route", "status"),
            registry=self._registry,
        )
        self._seconds = Histogram(
            "dicebox_request_seconds",
            "Seconds from the first line of a request to its answer",
            ("service", "method", "route"),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        # To look a figure up by its labels takes longer than to count.
        self._answered: dict[tuple[str, str, int], tuple[Counter, Histogram]] = {}
        self._events = Counter(
            "dicebox_events",
            "What a service did: images by how their upload ended, classifications by network",
            ("service", "event", "label"),
            registry=self._registry,
        )

    def count(self, event: str, label: str, times: int = 1) -> None:
        """Count something that the service did, such as a classification by a network."""
        self._events.labels(self._service, event, label).inc(times)

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count a request; `route` is its rule, so that there are only so many."""
        answered = self._answered.get((method, route, status))
        if answered is None:
            counter = self._requests.labels(self._service, method, route, str(status))
            answered = (counter, self._seconds.labels(self._service, method, route))
            self._answered[method, route, status] = answered
        answered[0].inc()
        answered[1].observe(seconds)

    def observe_all(self, method: str, route: str, status: int, seconds: Sequence[float]) -> None:
        """Count some requests that ended alike at once, for less than each alone would cost."""
        self.observe(method, route, status, seconds[0])
        if len(seconds) > 1:
            counter, histogram = self._answered[method, route, status]
            counter.inc(len(seconds) - 1)
            _observe_many(histogram, _BUCKETS, seconds[1:])

    def text(self) -> bytes:
        """Return the figures of all processes in Prometheus' text form."""
        registry = CollectorRegistry()
        registry.register(self._gauges)
        if os.environ.get(FOLDER):
            registry.register(_OfService(self._service))
            return generate_latest(registry)
        return generate_latest(self._registry) + generate_latest(registry)


class ServingMetrics(ServiceMetrics):
    """Also what a service that classifies has: batches, and a queue in every process.

    While `is_patient`, what is counted most often is kept in this process until `write`, which
    whoever sets that calls a few times a second: each count in the shared file costs as much as
    a tenth of an answer.
    """

    def __init__(self, service: str, gauges: Gauges | None = None) -> None:
        super().__init__(service, gauges)
        self.is_patient = False
        self._kept_lock = threading.Lock()
        self._kept_batches: list[tuple[str, int]] = []
        self._kept_requests: dict[tuple[str, str, int], list[float]] = {}
        self._batches = Histogram(
            "dicebox_batch_images",
            "Images that a network was asked for together",
            ("service",),
            buckets=_BATCH_SIZES,
            registry=self._registry,
        ).labels(service)
        self._shown = 0
        # A process that has ended waits for nothing: its part is left out of the sum.
        self._queue = Gauge(
            "dicebox_queue_images",
            "Images that wait for an answer, when a batch of them was last begun or ended",
            ("service",),
            registry=self._registry,
            multiprocess_mode="livesum",
        ).labels(service)
        self._classified: dict[str, Counter] = {}
        self._refusals = Counter(
            "dicebox_refusals",
            "What no route was asked: it was no HTTP, too slow, too large or too much at once",
            ("service", "status", "kind"),
            registry=self._registry,
        )

    def count_batch(self, network: str, images: int) -> None:
        """Count what a network was asked for together."""
        with self._kept_lock:
            self._kept_batches.append((network, images))
        if not self.is_patient:
            self.write()

    def observe_all(self, method: str, route: str, status: int, seconds: Sequence[float]) -> None:
        """Count some requests that ended alike at once."""
        with self._kept_lock:
            self._kept_requests.setdefault((method, route, status), []).extend(seconds)
        if not self.is_patient:
            self.write()

    def count_refusal(self, status: int, kind: str) -> None:
        """Count what was refused before any route was asked, by its status and its problem."""
        self._refusals.labels(self._service, str(status), kind).inc()

    def show_queue(self, images: int) -> None:
        """Say how many images wait in this process."""
        if images != self._shown:
            self._shown = images
            self._queue.set(images)

    def write(self) -> None:
        """Write down what was kept."""
        with self._kept_lock:
            batches, self._kept_batches = self._kept_batches, []
            requests, self._kept_requests = self._kept_requests, {}
        sizes = [images for _, images in batches]
        if sizes:
            _observe_many(self._batches, _BATCH_SIZES, sizes)
        images_of: dict[str, int] = {}
        for network, images in batches:
            images_of[network] = images_of.get(network, 0) + images
        for network, images in images_of.items():
            if network not in self._classified:
                labels = (self._service, "classification", network)
                self._classified[network] = self._events.labels(*labels)
            self._classified[network].inc(images)
        for (method, route, status), seconds in requests.items():
            super().observe_all(method, route, status, seconds)

    def text(self) -> bytes:
        """Return the figures of all processes in Prometheus' text form."""
        self.write()
        return super().text()


def _observe_many(histogram: Histogram, bounds: Sequence[float], values: Sequence[float]) -> None:
    """Observe values with one write for each bucket; the library takes two for each value."""
    buckets: dict[int, int] = {}
    for value in values:
        bucket = bisect_left(bounds, value)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    histogram._sum.inc(sum(values))
    for bucket, times in buckets.items():
        histogram._buckets[bucket].inc(times)


def route_of_request() -> str:
    """Return the rule of the present request: an address that nobody serves makes no figure."""
    return request.url_rule.rule if request.url_rule is not None else "none"


class _GaugeCollector(Collector):
    """Reads gauges at a scrape; what cannot be read is left out, the rest stays."""

    def __init__(self, service: str, gauges: Gauges) -> None:
        self._service = service
        self._gauges = gauges

    def collect(self) -> Iterable[Metric]:
        """Yield the gauges."""
        for (name, explanation, label), read in self._gauges.items():
            family = GaugeMetricFamily(name, explanation, labels=("service", label))
            try:
                values = read()
            except DiceboxError:
                continue
            for value_of, value in values.items():
                family.add_metric((self._service, value_of), value)
            yield family


class _OfService(Collector):
    """The sums over all processes, without what other services of theirs counted."""

    def __init__(self, service: str) -> None:
        self._service = service

    def collect(self) -> Iterator[Metric]:
        """Yield the metrics of one service."""
        for metric in MultiProcessCollector(CollectorRegistry()).collect():  # type: ignore[no-untyped-call]
            metric.samples = [
                sample for sample in metric.samples if sample.labels["service"] == self._service
            ]
            yield metric
