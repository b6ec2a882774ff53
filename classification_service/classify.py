"""The answer to one image; the hot path touches no table and no file."""

import hashlib

import numpy as np

from classification_service.gallery import Gallery
from classification_service.loading import LoadedNetwork
from classification_service.ports import Floats
from commons.adapters.decode import decode_image
from commons.errors import InvalidInputError
from commons.messages import Answer, Classification
from commons.ports import Clock


class Classifier:
    """Asks the champion, or a network by its id."""

    def __init__(self, gallery: Gallery, clock: Clock) -> None:
        self._gallery = gallery
        self._clock = clock

    def classify(
        self, data: bytes, dataset: str | None = None, network: str | None = None, top: int = 3
    ) -> Classification:
        """Return the `top` most probable categories of an image, most probable first.

        Raises:
            InvalidInputError: It is no image (kind `not-an-image`), or the dataset must be named.
            TooLargeError: The image has too many pixels.
            ConflictError: There is no champion yet (kind `no-network`).
            NotFoundError: No network has this id.
            UnavailableError: The champion's files cannot be used at the moment.
        """
        loaded = self._choose(dataset, network)
        start = self._clock.monotonic()
        probabilities = _ask(loaded, data)
        seconds = self._clock.monotonic() - start
        # Stable, so that equal probabilities keep the order of the categories.
        best = np.argsort(-probabilities, kind="stable")[:top]
        categories = loaded.card.categories
        return Classification(
            image=hashlib.sha256(data).hexdigest(),
            dataset=loaded.card.dataset,
            network=loaded.network,
            answers=[
                Answer(category=categories[i], probability=float(probabilities[i])) for i in best
            ],
            seconds=seconds,
        )

    def _choose(self, dataset: str | None, network: str | None) -> LoadedNetwork:
        if network is None:
            return self._gallery.champion(dataset)
        loaded = self._gallery.network(network)
        if dataset not in (None, loaded.card.dataset):
            raise InvalidInputError(
                f"expected a network of the dataset {dataset}, this one is of {loaded.card.dataset}"
            )
        return loaded


def _ask(loaded: LoadedNetwork, data: bytes) -> Floats:
    preprocessing = loaded.card.preprocessing
    pixels = decode_image(data, preprocessing.shape, preprocessing.resize)
    probabilities: Floats = loaded.predictor.predict(pixels[np.newaxis].astype(np.float32))[0]
    return probabilities
