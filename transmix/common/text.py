"""Texts that somebody else wrote, as they may be shown."""

from __future__ import annotations

import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Zl", "Zp")  # control, format (as of direction), lone surrogates, line and paragraph ends


def printable(text: str) -> str:
    r"""`text` with every character escaped that would act on a terminal, or cannot be written: ``\x1b``, ``\u202e``."""
    if text.isprintable():
        return text
    return "".join(_escaped(one) if unicodedata.category(one) in _UNSEEN else one for one in text)


def printable_lines(text: str) -> str:
    """The same of a text whose lines are meant, such as a whole page."""
    return "\n".join(map(printable, text.split("\n")))


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
