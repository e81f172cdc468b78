"""The area that the next question is about: attached as a file, drawn on the map, or taken away."""

import asyncio
from html import escape
from pathlib import Path
from typing import Any

from knowledge.errors import ClmsError
from knowledge.lexicon import Language
from tools.areas import parse_geojson, read_polygons
from tools.schema import Polygons
from ui.page_layout import button_shown
from ui.page_results import Results
from ui.page_words import say
from ui.panels import warnings_html
from ui.turn import Turn


class NextArea:
    """What each of the three ways sets: the area, the note on it, the button that takes it away, the map."""

    def __init__(self, results: Results, max_bytes: int) -> None:
        self._results, self._max_bytes = results, max_bytes

    async def uploaded(self, path: str, language: Language, *about: Any) -> tuple[Any, ...]:
        """Take a file, and remove it; `about` are conversation and turn."""
        file = Path(path)
        try:
            area = await asyncio.to_thread(read_polygons, file, max_bytes=self._max_bytes)
        except ClmsError as error:
            return self._noted(None, _refused(file.name, error, language), language, *about)
        finally:
            file.unlink(missing_ok=True)
        return self._noted(area, _attached(area, language), language, *about)

    def drawn(self, geometry: dict[str, Any], language: Language, *about: Any) -> tuple[Any, ...]:
        """Take what was drawn."""
        name = say(language, "drawn")
        try:
            area = parse_geojson(geometry, name=name)
        except ClmsError as error:
            return self._noted(None, _refused(name, error, language), language, *about)
        return self._noted(area, _attached(area, language), language, *about)

    def dropped(self, language: Language, *about: Any) -> tuple[Any, ...]:
        """Take the area away."""
        return self._noted(None, "", language, *about)

    def _noted(
        self, area: Polygons | None, note: str, language: Language, session_id: str | None, turn: Turn | None
    ) -> tuple[Any, ...]:
        shown = self._results.map(language, session_id, turn, area)
        return area, note, button_shown(area is not None), {**shown, "go_to_area": True}


def _attached(area: Polygons, language: Language) -> str:
    told = say(language, "attached", name=area.name, count=len(area.collection["features"]))
    return f'<p class="note" role="status">{escape(told)}</p>{warnings_html(area.warnings, language)}'


def _refused(name: str, error: ClmsError, language: Language) -> str:
    told = say(language, "not_attached", name=name, reason=f"{error.message} {error.hint}")
    return f'<p class="note failed" role="alert">{escape(told)}</p>'
