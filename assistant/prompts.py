"""Fill in the system prompt, which is a document of its own."""

from datetime import date
from importlib.resources import files

from knowledge.lexicon import Language
from tools.schema import Polygons

LANGUAGE_NAMES: dict[Language, str] = {
    "en": "English", "fr": "French", "de": "German", "es": "Spanish", "it": "Italian",
}  # fmt: skip

REWRITE = (
    "No tool result bears out these parts: {numbers}. Write the answer again without them, using only numbers, names "
    "and links that the tool results hold, each said of what it is said of there. Count and compare nothing yourself."
)


def system_prompt(
    *, today: date, area: Polygons | None, collection_id: str | None, language: Language | None = None
) -> str:
    """Give the system prompt for one question."""
    template = files("assistant").joinpath("system.md").read_text(encoding="utf-8")
    attached = (
        f"An area is attached with {len(area.collection['features'])} polygon(s)." if area else "No area is attached."
    )
    collection = f"Computations use the collection {collection_id!r}." if collection_id else ""
    if language:
        collection += f" Answer in {LANGUAGE_NAMES[language]}."
    return (
        template.replace("{today}", today.isoformat()).replace("{area}", attached).replace("{collection}", collection)
    )
