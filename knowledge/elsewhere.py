"""Subjects that the land service does not measure, and who has them: read from `elsewhere.yaml`."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, TypeAdapter, ValidationError

from knowledge.errors import SourceInvalid
from knowledge.schema import Frozen


class Elsewhere(Frozen):
    """One subject and its provider."""

    id: str
    subject: str
    provider: str
    """Copernicus service or other body that has it."""
    url: str | None = None
    aliases: tuple[str, ...]
    """Words people use for it, in English."""
    translations: tuple[str, ...] = ()
    """The same in other languages; found as words, not by meaning."""
    asked_as: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """How people ask for it in everyday words, by language; read by the phrasebook."""


FILE = Path(__file__).with_name("elsewhere.yaml")


@cache
def load_elsewhere(path: Path = FILE) -> dict[str, Elsewhere]:
    """Read and check the subjects, by id.

    Raises:
        SourceInvalid: the file is not a list of subjects, or an id stands twice.
    """
    try:
        subjects = TypeAdapter(tuple[Elsewhere, ...]).validate_python(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (ValidationError, yaml.YAMLError) as error:
        raise SourceInvalid(f"{path.name} is not a list of subjects: {error}") from error
    found = {one.id: one for one in subjects}
    if len(found) < len(subjects):
        raise SourceInvalid(f"An id stands twice in {path.name}.")
    return found
