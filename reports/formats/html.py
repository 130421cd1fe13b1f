"""HTML and Markdown from the templates of this folder: the page of a study and that of a comparison."""

from __future__ import annotations

import base64
import hashlib
import io
import os
import re
import sys
from collections import Counter
from functools import partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
from jinja2 import Environment, FileSystemBytecodeCache, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup, escape
from PIL import Image

from experiments.entries import listed, setting_text
from experiments.rows import model_name
from reports.formats.render import markdown_code, markdown_text, to_markdown
from reports.formats.table import Source
from reports.records.origins import data_set, machine

_PICTURE_SIDE = 160  # pixels at most: the page embeds four pictures for each example
TEMPLATES = Path(__file__).parent / "templates"
_CODE = re.compile(r"(`{1,2})(.+?)\1")
_SHOWN_SEEDS = 5  # links of one cell; where more seeds are behind a number, it leads to all of them at once


def fill(template: str, **values: object) -> str:
    """A template of this folder, filled with values; one that it asks for and does not get is an error."""
    return _environment().get_template(template).render(**values)


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=select_autoescape(["html"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        bytecode_cache=_compiled(),
    )
    environment.filters |= {"cell": markdown_text, "code": markdown_code, "markdown": to_markdown}
    environment.filters |= {"data_uri": data_uri, "png": png, "integrity": integrity, "setting": setting_text}
    environment.filters |= {"prose": prose}
    environment.filters |= {"record_links": record_links, "group_links": group_links}
    environment.filters |= {"data_set": data_set, "machine": machine, "models": partial(listed, name=model_name)}
    environment.globals["script"] = Markup((TEMPLATES / "page.js").read_text(encoding="utf-8"))
    return environment


def _compiled() -> FileSystemBytecodeCache | None:
    """Where compiled templates are kept: beside them, as Python keeps modules; None where it may not.

    Jinja knows by itself which template has changed, but not with which options or version it compiled it.
    """
    if sys.dont_write_bytecode:
        return None
    made_by = hashlib.sha256(Path(__file__).read_bytes() + version("jinja2").encode()).hexdigest()
    folder = TEMPLATES / "__pycache__" / made_by[:12]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return None
    return FileSystemBytecodeCache(str(folder)) if os.access(folder, os.W_OK) else None


def prose(text: str) -> Markup:
    """A docstring's paragraphs, and as code what stands in backquotes in them."""
    escaped = (str(escape(" ".join(paragraph.split()))) for paragraph in text.split("\n\n"))
    return Markup("\n".join("<p>" + _CODE.sub(r"<code>\2</code>", paragraph) + "</p>" for paragraph in escaped))


def group_key(run_id: str) -> str:
    """The group of a run: its id without method, seed and hash."""
    return run_id.rsplit(".", 2)[0]


def record_links(sources: tuple[Source, ...]) -> list[tuple[str, str]]:
    """Where the records of a number are: (text, HTML id), a seed each, or a group each where there are too many."""
    if len(sources) <= _SHOWN_SEEDS:
        return [(str(source.seed), f"record-{source.id}") for source in sources]
    return group_links(sources)


def group_links(sources: tuple[Source, ...]) -> list[tuple[str, str]]:
    """The groups that some records are in: (how many of them, HTML id)."""
    groups = Counter(
        f"published-{source.set}-{group_key(source.id)}" if source.set else f"runs-{group_key(source.id)}"
        for source in sources
    )
    return [(str(count), key) for key, count in groups.items()]


def data_uri(content: str | bytes, media_type: str) -> str:
    """A file's content as an address that needs no file."""
    data = content.encode() if isinstance(content, str) else content
    return f"data:{media_type};base64,{base64.b64encode(data).decode()}"


def png(image: np.ndarray) -> bytes:
    """An image as PNG, made smaller if it is large."""
    picture = Image.fromarray(image)
    picture.thumbnail((_PICTURE_SIDE, _PICTURE_SIDE), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="PNG", optimize=True)
    return buffer.getvalue()


def integrity(script: str) -> str:
    """What allows a page to run this inline script, and no other."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
