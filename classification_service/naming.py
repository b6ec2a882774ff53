"""Names of networks: given, moved and taken away."""

from classification_service.gallery import Gallery
from classification_service.ports import GalleryTables, NameTables, RegisteredNetwork
from commons.errors import InvalidInputError
from commons.network_names import is_name


class Naming:
    """Gives a network one name in the whole gallery; the tables are the truth.

    Args:
        tables: The networks.
        names: Their names.
        gallery: Answers under them.
    """

    def __init__(self, tables: GalleryTables, names: NameTables, gallery: Gallery) -> None:
        self._tables = tables
        self._names = names
        self._gallery = gallery

    def give(self, network: str, name: str, *, move: bool = False) -> RegisteredNetwork:
        """Return a network that has a name from now on, instead of the one it had.

        Args:
            network: Its id, 8 or more of its first digits, or its name.
            name: What it is called.
            move: Take the name from the network that has it.

        Raises:
            InvalidInputError: No network can have this name.
            NotFoundError: There is no such network.
            ConflictError: Another one has this name (kind `name-taken`).
            StorageFullError: No space is left; nothing was changed.
        """
        if not is_name(name):
            raise InvalidInputError(
                "expected a name of 1 to 64 of a-z, 0-9, `-`, `_` and `.` that begins with a "
                f"letter and is not 8 or more hexadecimal digits alone, as ids are, "
                f"got {name[:100]!r}"
            )
        return self._write(network, name, move=move)

    def take(self, network: str) -> RegisteredNetwork:
        """Return a network that has no name any more; safe to repeat by its id.

        Raises:
            NotFoundError: There is no such network.
            StorageFullError: No space is left; nothing was changed.
        """
        return self._write(network, None, move=False)

    def _write(self, network: str, name: str | None, *, move: bool) -> RegisteredNetwork:
        whole = self._tables.network(network).network
        self._names.give(whole, name, move=move)
        self._gallery.refresh()
        return self._tables.network(whole)
