"""The use cases of the gallery: register, look, download, promote."""

from pydantic import TypeAdapter, ValidationError

from classification_service.gallery import Gallery
from classification_service.loading import FileKind, Loader, damaged
from classification_service.ports import GalleryTables, Prove, RegisteredNetwork
from commons.errors import ConflictError, InvalidInputError
from commons.messages import Champion, DatasetName
from commons.network_card import NetworkCard, network_id
from commons.ports import Clock

_DATASET_NAME: TypeAdapter[str] = TypeAdapter(DatasetName)


class Networks:
    """What is registered and who is champion; the tables are the truth.

    Args:
        tables: The truth.
        loader: Looks into files and loads them.
        gallery: What is in memory.
        clock: Says when.
        prove: Runs an ONNX file within bounds, before it is loaded to be kept; default: it is
            loaded at once.
    """

    def __init__(
        self,
        tables: GalleryTables,
        loader: Loader,
        gallery: Gallery,
        clock: Clock,
        prove: Prove = lambda *_: None,
    ) -> None:
        self._tables = tables
        self._loader = loader
        self._gallery = gallery
        self._clock = clock
        self._prove = prove

    def register(self, card: NetworkCard) -> tuple[str, bool]:
        """Return the id of a network and whether it is new; nothing is promoted.

        Raises:
            ConflictError: Files are missing (kind `missing-files`): to be sent first.
            InvalidInputError: A file is not what the card says, or the network does not give
                probabilities (kind `damaged-network`); nothing was stored.
            StorageFullError: No space is left; nothing was stored.
        """
        network = network_id(card)
        _check_dataset_name(card.dataset)
        missing = self._loader.missing(card)
        if missing:
            raise ConflictError(
                f"{', '.join(missing)} of the network not in the blobs: send each file by PUT "
                "to network-files/{sha256}.{npz, keras or onnx}, then register again",
                kind="missing-files",
            )
        # Loaded before it is stored, so that no broken network is ever in the gallery; and proved
        # before it is loaded, so that none takes all time or memory.
        self._prove(self._loader.inspect(card), card.preprocessing.shape)
        self._loader.load(network, card)
        return network, self._tables.add_network(
            RegisteredNetwork(network, card, self._clock.now())
        )

    def network(self, network: str) -> RegisteredNetwork:
        """Return one network by its id, its first digits or its name; raises `NotFoundError`."""
        return self._tables.network(network)

    def networks(self, dataset: str | None = None) -> list[RegisteredNetwork]:
        """Return the networks of one dataset, or all, newest first."""
        return self._tables.networks(dataset)

    def file(self, network: str, kind: FileKind) -> bytes:
        """Return a file of a network, its hash verified.

        Raises:
            NotFoundError: There is no such network.
            ConflictError: The file was damaged since it was registered (`damaged-network`).
        """
        card = self._tables.network(network).card
        try:
            return self._loader.read(card, kind)
        except InvalidInputError as error:
            raise ConflictError(str(error), kind=error.kind) from error

    def promote(self, dataset: str, network: str) -> Champion:
        """Make a network the one that answers, once it is loaded and warm.

        Args:
            dataset: For which it answers.
            network: Its id, its first digits or its name.

        Raises:
            NotFoundError: There is no such network.
            ConflictError: It was bred for another dataset, or its file was damaged since it was
                registered; the champion stays.
            StorageFullError: No space is left; the champion stays.
        """
        # Asked of the tables: a name may have moved a moment ago.
        network = self._tables.network(network).network
        bred_for = self._gallery.network(network).card.dataset
        if bred_for != dataset:
            raise ConflictError(
                f"expected a network of the dataset {dataset}, this one is of {bred_for}",
                kind="other-dataset",
            )
        if self.champion(dataset).network != network:
            self._tables.promote(dataset, network, self._clock.now())
        self._gallery.refresh()
        return self.champion(dataset)

    def champions(self) -> list[Champion]:
        """Return the champion of every dataset that has one."""
        return [
            Champion(dataset=reign.dataset, network=reign.network, since=reign.since)
            for reign in self._tables.champions()
        ]

    def champion(self, dataset: str) -> Champion:
        """Return who answers for a dataset; its network is null before the first."""
        champions = {champion.dataset: champion for champion in self.champions()}
        return champions.get(dataset, Champion(dataset=dataset, network=None))


def _check_dataset_name(name: str) -> None:
    try:
        _DATASET_NAME.validate_python(name)
    except ValidationError as error:
        raise damaged(f"{name!r} is no name of a dataset") from error
