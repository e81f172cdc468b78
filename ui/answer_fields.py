"""An answer as the HTTP doors give it: files by id and URL, never by path."""

from typing import Any

from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from assistant.schema import Answer
from tools.schema import Artifact


def clms_fields(answer: Answer, base_url: str, warnings: tuple[str, ...] = ()) -> dict[str, Any]:
    """Give what an answer holds beyond its text; warnings of the request first."""
    fields = answer.model_dump(mode="json", exclude={"text", "usage", "artifacts"})
    fields["warnings"] = [*warnings, *answer.warnings]
    fields["artifacts"] = [file_fields(artifact, base_url) for artifact in answer.artifacts]
    return fields


def file_fields(artifact: Artifact, base_url: str = "") -> dict[str, Any]:
    """Give what is told of a file."""
    return {**artifact.model_dump(mode="json", exclude={"path"}), "url": f"{base_url}/artifacts/{artifact.id}"}


class FileTold(Artifact):
    """A file, as it is told to clients."""

    path: SkipJsonSchema[str] = Field(default="", exclude=True)
    url: str


class Told(Answer):
    """An answer, as it is told to clients."""

    artifacts: tuple[FileTold, ...] = ()
    usage: SkipJsonSchema[dict[str, int]] = Field(default_factory=dict, exclude=True)


def answer_fields(answer: Answer) -> Told:
    """Give an answer whole."""
    return Told.model_validate({"text": answer.text, **clms_fields(answer, "")})
