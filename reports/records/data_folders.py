"""The embedded data that records were made on, read back."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from transmix.common.errors import UserError
from transmix.data.scenes import GENERATOR, read_manifest
from transmix.data.scenes.spec import MANIFEST, miscounted


class DataFolders:
    """Embedded data sets; each is read when a record first asks for it, and every file of it hashed.

    Attributes:
        broken: what is wrong with those that are no longer as they were written, by name.
        users: how many records were made on each that is broken.

    Args:
        root: the folder that holds them.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.broken: dict[str, str] = {}
        self.users: Counter[str] = Counter()
        self._whole: dict[str, bool] = {}

    def whole(self, name: str) -> bool:
        """Whether a data set is there, with every file as it was written."""
        if name not in self._whole:
            try:
                self._whole[name] = self._read(self.root / name)
            except OSError as error:
                self.broken[name] = f"is not whole ({error.strerror}: {error.filename})"
            except UserError as error:
                self.broken[name] = f"cannot be used ({error})"
        self.users[name] += name in self.broken
        return self._whole.get(name, False)

    def _read(self, folder: Path) -> bool:
        from transmix.data.scenes.check import (
            content_digest,  # Pillow and pycocotools, only where there is data to read
        )

        if not (folder / MANIFEST).is_file():
            return False
        manifest = read_manifest(folder)
        if manifest.generator != GENERATOR:  # another version's files have other names
            return False
        if manifest.spec.key != folder.name:
            raise UserError(f"it holds {manifest.spec.key}")
        if content_digest(manifest.spec, folder) != manifest.sha256:
            raise UserError("a file was changed after it was written")
        if wrong := miscounted(folder, manifest.spec):  # files that no run would accept, though none was changed
            self.broken[folder.name] = wrong
        return not wrong

    @property
    def problems(self) -> list[str]:
        """A line for each that is broken."""
        return [
            f"data folder {self.root / name} {problem}; records made on it: {self.users[name]:,}: delete the folder "
            "and write it again with 'python -m experiments data'"
            for name, problem in self.broken.items()
        ]
