"""The search spaces that come with the product, each by its name."""

from importlib.resources import files

from commons.errors import NotFoundError

_SUFFIX = ".toml"


def shipped_taxonomies() -> dict[str, str]:
    """Return the names, each with the sentence that its text begins with."""
    found = {
        entry.name.removesuffix(_SUFFIX): entry.read_text(encoding="utf-8")
        for entry in files("evolver.taxonomies").iterdir()
        if entry.name.endswith(_SUFFIX)
    }
    return {
        name: text.partition("\n")[0].removeprefix("#").strip()
        for name, text in sorted(found.items())
    }


def taxonomy_text(name: str) -> str:
    """Return the TOML text of a shipped taxonomy.

    Raises:
        NotFoundError: None has that name.
    """
    known = shipped_taxonomies()
    if name not in known:
        raise NotFoundError(f"there is no taxonomy {name!r}, only {', '.join(known)}")
    return files("evolver.taxonomies").joinpath(name + _SUFFIX).read_text(encoding="utf-8")
