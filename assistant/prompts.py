"""Fill in the system prompt, which is a document of its own."""

from datetime import date
from importlib.resources import files

from tools.schema import Polygons

REWRITE = (
    "These numbers or links are in no tool result: {numbers}. Write the answer again without them, "
    "using only numbers and links that the tool results hold."
)


def system_prompt(*, today: date, area: Polygons | None, collection_id: str | None) -> str:
    """Give the system prompt for one question."""
    template = files("assistant").joinpath("system.md").read_text(encoding="utf-8")
    attached = (
        f"An area is attached with {len(area.collection['features'])} polygon(s)." if area else "No area is attached."
    )
    collection = f"Computations use the collection {collection_id!r}." if collection_id else ""
    return (
        template.replace("{today}", today.isoformat()).replace("{area}", attached).replace("{collection}", collection)
    )
