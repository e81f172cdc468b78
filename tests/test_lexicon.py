"""The cue words: one file, five languages, checked; and how they are found in a text."""

import pytest
from pydantic import ValidationError

from assistant import lexicon


def test_every_slot_has_words_in_every_language() -> None:
    for slot, languages in lexicon.load().root.items():
        assert set(languages) == set(lexicon.LANGUAGES), slot


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        ({"en": ["hi"]}, "no words for"),
        ({code: ["Hello there."] for code in lexicon.LANGUAGES}, "pattern"),
        ({code: ["what can you do for me today"] for code in lexicon.LANGUAGES}, "sentences"),
        ({code: [True] for code in lexicon.LANGUAGES}, "string"),
        ({code: [] for code in lexicon.LANGUAGES}, "at least 1"),
    ],
)
def test_a_broken_file_is_refused(words: dict, complaint: str) -> None:
    with pytest.raises(ValidationError, match=complaint):
        lexicon.Lexicon.model_validate({"greeting": words})


@pytest.mark.parametrize(
    ("text", "slot", "found"),
    [
        ("Zeige eine NDVI-Karte", "map", True),
        ("Bodenversiegelungskarte", "map", True),
        ("mapping", "map", False),
        ("ÉVOLUTION du NDVI", "changing", True),
        ("evolution", "changing", True),
        ("above 0.6", "threshold", True),
        ("seen from above", "threshold", False),
        ("the cloud free images", "scenes", True),
        ("parcs", "parcels", False),
    ],
)
def test_cues_are_found_as_words(text: str, slot: str, found: bool) -> None:
    assert lexicon.has(text, slot) is found


@pytest.mark.parametrize("text", ["Évora, l’été, ŒUVRE, Straße, İzmir", "½ km², ﬁeld"])
def test_folding_keeps_positions(text: str) -> None:
    assert len(lexicon.fold(text)) == len(text)


@pytest.mark.parametrize(
    ("word", "ending", "cue"), [("Grasse", 0, False), ("grassland", None, True), ("Wälder", 2, True)]
)
def test_a_name_is_no_cue_because_it_begins_like_one(word: str, ending: int | None, cue: bool) -> None:
    assert lexicon.is_cue(word, ending=ending) is cue
