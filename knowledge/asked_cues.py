"""By which words a question asks for a kind of fact: read from `asked_cues.yaml`."""

import re
from functools import cache
from pathlib import Path

import yaml
from pydantic import RootModel, ValidationError

from knowledge.errors import SourceInvalid
from knowledge.lexicon import Language, fold
from knowledge.schema import Frozen

FILE = Path(__file__).with_name("asked_cues.yaml")


class Cue(Frozen):
    """The words of one kind of fact."""

    words: dict[Language, str]
    """Pieces of regular expressions for text in lower case without accents, " | " between them, by language."""
    meta: bool = False
    """True where the words say nothing about the subject of a question."""


class Cues(RootModel[dict[str, Cue]]):
    """The file: kind of fact to its words."""


@cache
def load_cues(path: Path = FILE) -> dict[str, Cue]:
    """Read and check the file.

    Raises:
        SourceInvalid: it does not hold what it should.
    """
    try:
        return Cues.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).root
    except (ValidationError, yaml.YAMLError) as error:
        raise SourceInvalid(f"{path.name} is no list of cues: {error}") from error


def kinds_in(text: str) -> list[str]:
    """Give the kinds of facts that a text, in lower case and without accents, asks for."""
    return [kind for kind in load_cues() if _expression(kind).search(text)]


def without_cues(text: str, *, meta_only: bool = False) -> str:
    """Take the words out by which a text asks for facts; `meta_only` keeps those that may name a subject."""
    for kind, cue in load_cues().items():
        if not meta_only or cue.meta:
            text = _cut(text, _expression(kind))
    return text


@cache
def _expression(kind: str) -> re.Pattern[str]:
    pieces = (piece for words in load_cues()[kind].words.values() for piece in words.split(" | "))
    return re.compile(rf"\b(?:{'|'.join(pieces)})\b")


def _cut(text: str, expression: re.Pattern[str]) -> str:
    """Blank what an expression finds in the folded text, where that is as long as the text."""
    folded = fold(text)
    if len(folded) != len(text):
        text = folded
    for match in reversed([*expression.finditer(folded)]):
        text = f"{text[: match.start()]} {text[match.end() :]}"
    return text
