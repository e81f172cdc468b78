"""What people and models write never becomes markup on the page."""

import pytest

from ui.turn import harmless


@pytest.mark.parametrize("words", ["<img src=http://127.0.0.1:1/q.png>", "<script>x</script>", "![a](http://b/c.png)"])
def test_markup_is_shown_as_text(words: str) -> None:
    shown = harmless(words)
    assert "<" not in shown
    assert "![" not in shown


def test_sources_stay_links() -> None:
    assert harmless("see <https://land.copernicus.eu/en>") == "see <https://land.copernicus.eu/en>"
