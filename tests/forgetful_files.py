"""A disk in memory that loses its power: what was not synced is forgotten."""

from dataclasses import dataclass, field
from pathlib import Path


class PowerLossError(BaseException):
    """The machine is off; nobody handles this."""


@dataclass
class _File:
    data: bytes
    synced: bool = False


@dataclass
class ForgetfulFiles:
    """`commons.adapters.file_blobs.Files` in memory.

    Args:
        steps_left: The power goes before the operation after so many.
        lost_sync: This sync (counting from 0) says that it happened and did not.
    """

    steps_left: int = 1 << 30
    lost_sync: int | None = None
    syncs: int = 0
    steps: int = 0
    names: dict[Path, _File | None] = field(default_factory=lambda: {Path("/"): None})
    durable: set[Path] = field(default_factory=lambda: {Path("/")})

    def exists(self, path: Path) -> bool:
        return path in self.names

    def make_folder(self, path: Path) -> None:
        self._step()
        for folder in (*reversed(path.parents), path):
            self.names.setdefault(folder, None)

    def write(self, path: Path, data: bytes) -> None:
        self._step()
        assert path.parent in self.names
        assert path not in self.names
        self.names[path] = _File(data)

    def sync_file(self, path: Path) -> None:
        if self._syncs():
            file = self.names[path]
            assert file is not None
            file.synced = True

    def sync_folder(self, path: Path) -> None:
        if self._syncs():
            inside = {name for name in self.names if name.parent == path and name != path}
            gone = {name for name in self.durable if name.parent == path and name != path}
            self.durable = (self.durable - gone) | inside

    def link(self, path: Path, name: Path) -> bool:
        self._step()
        if name in self.names:
            return False
        self.names[name] = self.names[path]
        return True

    def unlink(self, path: Path) -> None:
        self._step()
        self.names.pop(path, None)

    def after_power_loss(self, *, lucky_names: bool) -> dict[Path, bytes]:
        """Return the files that are there after the next start, torn where not synced.

        Names that were not synced are gone, or all there when they are lucky.
        """
        return {
            name: file.data if file.synced else file.data[: len(file.data) // 2]
            for name, file in self.names.items()
            if file is not None and (lucky_names or self._is_durable(name))
        }

    def _is_durable(self, name: Path) -> bool:
        return all(part in self.durable for part in (name, *name.parents))

    def _step(self) -> None:
        if self.steps_left <= 0:
            raise PowerLossError
        self.steps_left -= 1
        self.steps += 1

    def _syncs(self) -> bool:
        self._step()
        self.syncs += 1
        return self.syncs - 1 != self.lost_sync
