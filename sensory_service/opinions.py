"""What networks say about images: kept beside the labels, so that people see the two together."""

from commons.label_messages import OpinionsReply, OpinionsRequest, WantedImages
from commons.ports import Clock
from sensory_service.ports import OpinionCatalog, Opinions


class OpinionDesk:
    """The use cases of opinions.

    Args:
        catalog: Where they are kept.
        clock: Says when they came.
    """

    def __init__(self, catalog: OpinionCatalog, clock: Clock) -> None:
        self._catalog = catalog
        self._clock = clock

    def keep(self, dataset: str, request: OpinionsRequest) -> OpinionsReply:
        """Keep the opinions of a network in place of those that were there; safe to repeat.

        Raises:
            NotFoundError: No such dataset.
        """
        opinions = Opinions(dataset, request.network, request.opinions, self._clock.now())
        stored = self._catalog.keep(opinions)
        return OpinionsReply(stored=stored, unknown=len(request.opinions) - stored)

    def wanted(self, dataset: str, network: str, limit: int) -> WantedImages:
        """Return images that a network has no opinion of, those without a label first.

        Raises:
            NotFoundError: No such dataset.
        """
        return WantedImages(images=self._catalog.wanted(dataset, network, limit))
