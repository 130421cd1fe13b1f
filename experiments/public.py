"""Where the public weights of a study's rows are: at timm's, in a folder, or in a file each. Standard library only.

What each row's public weights are is in `experiments.rows` (`Public`).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from experiments.rows import model_name, rows
from transmix.common.errors import UserError, unknown_name
from transmix.common.options import separated

TIMM = "timm"  # the word that allows a download
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin", ".tar")
_SAMPLE = 2**20  # bytes at each end of a file
# words of a file's name; the same letters within a hash, a date or another word mean nothing
_LARGE = re.compile(r"(?<![a-z0-9])(?:r|res)?384(?:px|x384)?(?![a-z0-9])", re.IGNORECASE)
_DISTILLED = re.compile(r"(?<![a-z])dist(?:ill(?:ed|ation)?)?(?![a-z])", re.IGNORECASE)
_PAIRS = re.compile(r"\w+=")


@dataclass(frozen=True)
class Weights:
    """Public weights of one row.

    Attributes:
        name: what identifies them: ``timm/deit_tiny_patch16_224.fb_in1k``, or a file's name with a hash of it.
        variant: what tells them from the model of the paper's table, e.g. ``distilled``; empty where nothing does.
        path: of a file; None for those that timm downloads.
    """

    name: str
    variant: str
    path: Path | None


@dataclass(frozen=True)
class PublicWeights:
    """What ``WEIGHTS=`` says.

    Attributes:
        text: as it was given.
        files: a file by row, where it names them.
    """

    text: str
    files: tuple[tuple[str, Path], ...] = ()

    @classmethod
    def parse(cls, text: str) -> PublicWeights:
        """Read the setting; a folder whose name looks like ``ROW=`` is written with a slash or dot in front.

        Raises:
            UserError: an unknown row, or one that is named twice.
        """
        if not _PAIRS.match(text):
            return cls(text)
        pairs = [pair.partition("=") for pair in separated("--weights", text)]
        for row, _, file in pairs:
            if row not in rows():
                raise unknown_name("row in --weights", row, rows())
            if not file:
                raise UserError(f"--weights {row}: write {row}=FILE")
        if len({row for row, _, _ in pairs}) < len(pairs):
            raise UserError(f"--weights {text}: names a row twice")
        return cls(text, tuple((row, Path(file)) for row, _, file in pairs))

    def __str__(self) -> str:
        return self.text

    def of(self, row: str) -> Weights | None:
        """A row's weights; None where it has none, or no file of them is there.

        Raises:
            UserError: a file that is not there, of another variant, or one of several.
        """
        public = rows()[row].public
        if self.text == TIMM:
            return Weights(f"{TIMM}/{public.tag}", public.variant, None) if public and public.tag else None
        path = dict(self.files).get(row) if self.files else self._found(row)
        if path is None:
            return None
        if not path.is_file():
            raise UserError(f"no such weights file: {path} (--weights, {row})")
        if _LARGE.search(path.stem):  # where there is a table of positions, its size is looked at when it is read
            raise UserError(
                f"weights file {path}: is named as weights for 384 px, {row} is evaluated at 224 px: give others, or "
                "rename it if 384 is something else"
            )
        distilled = "distilled" if _DISTILLED.search(path.stem) else ""
        return Weights(f"{path.name}:{_fingerprint(path)}", distilled or (public.variant if public else ""), path)

    def _found(self, row: str) -> Path | None:
        """The row's file in the folder: called as the row, as its model, or as its authors call it."""
        names = {row, rows()[row].recipe().model, *([public.file] if (public := rows()[row].public) else [])}
        form = re.compile(rf"(?:{'|'.join(map(re.escape, sorted(names)))})(?:-[0-9a-f]{{8}})?(?:\.\w+)+", re.IGNORECASE)
        there = sorted(Path(self.text).iterdir()) if Path(self.text).is_dir() else []
        found = [path for path in there if form.fullmatch(path.name) and path.suffix in SUFFIXES]
        if len(found) > 1:
            raise UserError(
                f"{found[0]} and {found[1].name} are both weights of {row}: keep one, or name it, {row}=FILE"
            )
        return found[0] if found else None

    def check(self, wanted: Iterable[str]) -> None:
        """Raise `UserError` unless there are weights of one of the rows at least."""
        if self.text != TIMM and not self.files and not Path(self.text).is_dir():
            raise UserError(f"no such folder of weights: {self.text} (--weights: timm, a folder, or ROW=FILE,...)")
        lacking = [row for row in wanted if self.of(row) is None]
        if len(lacking) == len([*wanted]):
            rather = "timm has none of them" if self.text == TIMM else f"call a file {lacking[0]}.pth"
            raise UserError(
                f"--weights {self.text}: no weights of {', '.join(lacking)}: {rather}, or give ROW=FILE,..."
            )


def lacking_text(lacking: Iterable[str]) -> str:
    """Which rows have no public weights here, in a sentence; empty for none."""
    names = ", ".join(map(model_name, lacking))
    return f"No public weights were given of {names}." if names else ""


def _fingerprint(path: Path) -> str:
    """Tells a file from others of its name: by its size and both ends, for plans are made often and files are large."""
    with open(path, "rb") as file:
        size = file.seek(0, 2)
        ends = []
        for place in (0, max(0, size - _SAMPLE)):
            file.seek(place)
            ends.append(file.read(_SAMPLE))
    return hashlib.sha256(b"".join([str(size).encode(), *ends])).hexdigest()[:12]
