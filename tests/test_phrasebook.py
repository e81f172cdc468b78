"""The phrasebook: everyday words lead to the product, in five languages, with endings and slips that no phrase has."""

from pathlib import Path

import pytest

from knowledge.catalogue import load_catalogue
from knowledge.elsewhere import load_elsewhere
from knowledge.ingest import ELSEWHERE
from knowledge.lexicon import LANGUAGES
from knowledge.phrasebook import Phrasebook, open_phrasebook


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("index")


@pytest.fixture(scope="module")
def book(folder: Path) -> Phrasebook:
    return open_phrasebook(load_catalogue(), folder)


@pytest.mark.parametrize(
    ("words", "owner"),
    [
        ("asphalted yards and concrete squares", "imperviousness"),
        ("les fissures de mon garage, le terrain s'affaisserait", "ground-motion"),
        ("Zuckerrübenanbau und Kartoffeläcker", "crop-types"),
        ("embalses vacíos por la sequía", "water-bodies"),
        ("quante volte sfalciano i pratti", "grassland-mowing"),
        ("allergies au pollen", f"{ELSEWHERE}air-quality"),
        ("Quallenplage am Meer", f"{ELSEWHERE}ocean"),
        ("aircraft carbon dioxide", f"{ELSEWHERE}emissions"),
    ],
)
def test_everyday_words_lead_to_their_owner(book: Phrasebook, words: str, owner: str) -> None:
    near = book.nearness(words)
    assert max(near, key=lambda one: near[one]) == owner


@pytest.mark.parametrize("words", ["", "and in", "wie ist das", "xqzvk"])
def test_words_without_meaning_are_near_to_nobody(book: Phrasebook, words: str) -> None:
    assert max(book.nearness(words).values(), default=0.0) < 0.6


def test_every_product_and_subject_has_phrases_in_every_language() -> None:
    for product in load_catalogue().products:
        assert set(product.asked_as) == set(LANGUAGES), product.id
    for subject in load_elsewhere().values():
        assert set(LANGUAGES) <= {*subject.asked_as, "en"}, subject.id


def test_no_phrase_stands_for_two_owners() -> None:
    said = [(one.id, phrases) for one in load_catalogue().products for phrases in one.asked_as.values()]
    said += [(one.id, phrases) for one in load_elsewhere().values() for phrases in one.asked_as.values()]
    owners: dict[str, set[str]] = {}
    for owner, phrases in said:
        for phrase in phrases:
            owners.setdefault(phrase.lower(), set()).add(owner)
    assert [phrase for phrase, found in owners.items() if len(found) > 1] == []


def test_phrases_are_never_shown() -> None:
    assert "asked_as" not in load_catalogue().products[0].model_dump()


def test_what_was_learned_is_kept_and_says_the_same(book: Phrasebook, folder: Path, tmp_path: Path) -> None:
    (kept,) = folder.iterdir()
    words = "asphalted yards and concrete squares"
    assert Phrasebook.read(kept).nearness(words) == pytest.approx(book.nearness(words))

    broken = tmp_path / kept.name
    broken.write_bytes(kept.read_bytes()[:1000])
    (tmp_path / "phrasebook-of-before.npz").write_bytes(b"")
    anew = open_phrasebook(load_catalogue(), tmp_path)
    assert anew.nearness(words) == pytest.approx(book.nearness(words))
    assert list(tmp_path.iterdir()) == [broken]
    assert Phrasebook.read(broken).nearness(words) == pytest.approx(book.nearness(words))


def test_a_folder_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    assert open_phrasebook(load_catalogue(), tmp_path / "missing").nearness("concrete squares")
