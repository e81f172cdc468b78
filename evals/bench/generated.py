"""Passages in the style of manuals, generated in any number, with questions that exactly one of them answers."""

import hashlib
import math
from collections.abc import Iterable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from knowledge.catalogue import load_catalogue
from knowledge.documents import document_id, piece_id
from knowledge.passages import Piece
from knowledge.words import search_words

TOPICS = (  # what a manual says, and how else people ask for it
    ("overall thematic accuracy", "how often is it right"),
    ("minimum mapping unit", "smallest patch that is drawn"),
    ("code for missing data", "number where there is no measurement"),
    ("map projection", "coordinate system of the files"),
    ("delivery delay", "how long until it can be had"),
    ("positional error", "how far features are out of place"),
    ("input imagery", "which satellites it is made from"),
    ("known artefacts", "what goes wrong in it"),
    ("validation sample", "how it was checked in the field"),
    ("licence of use", "who may use it for what"),
    ("tile size", "how large the pieces of the grid are"),
    ("compression of files", "how the download is packed"),
)
REGIONS = (
    "Brittany", "Bavaria", "Tuscany", "Andalusia", "Silesia", "Lapland", "Crete", "Transylvania", "Flanders", "Jutland",
    "Galicia", "Provence", "Tyrol", "Bohemia", "Dalmatia", "Thrace", "Estonia", "Iceland", "Madeira", "Guiana",
    "Kent", "Connacht", "Zealand", "Gotland", "Corsica", "Sardinia", "Algarve", "Alsace", "Friesland", "Carinthia",
    "Moravia", "Istria", "Epirus", "Anatolia", "Svalbard", "Malta", "Cyprus", "Kosovo", "Limburg", "Savoy",
)  # fmt: skip
YEARS = range(1990, 2026)
PER_DOCUMENT = 500
WIDTH = 384
Fact = tuple[str, int, str, int]


class HashedEncoder:
    """Vectors from hashed words; needs no model."""

    name = "hashed"

    def encode(self, texts: list[str]) -> list[list[float]]:
        """Give one unit vector a text."""
        vectors = np.stack([np.sum([_word_vector(word) for word in search_words(text)], axis=0) for text in texts])
        lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
        unit: list[list[float]] = (vectors / np.where(lengths == 0, 1, lengths)).tolist()
        return unit


@lru_cache(maxsize=100_000)
def _word_vector(word: str) -> NDArray[np.float64]:
    vector = np.zeros(WIDTH)
    digest = hashlib.blake2b(word.encode(), digest_size=8).digest()
    for at in range(0, 8, 2):
        vector[int.from_bytes(digest[at : at + 2], "big") % WIDTH] += 1.0 if digest[at] & 1 else -1.0
    return vector


@lru_cache
def _names() -> tuple[str, ...]:
    return tuple(product.title for product in load_catalogue().products)


@lru_cache
def _step() -> int:
    total = _total()
    return next(step for step in range(total // 3, total) if math.gcd(step, total) == 1)


def _total() -> int:
    return len(_names()) * len(TOPICS) * len(REGIONS) * len(YEARS)


def fact(number: int) -> Fact:
    """Give the (product, topic, region, year) of a number; neighbours differ in all four."""
    if not 0 <= number < _total():
        raise IndexError(f"Only {_total()} different passages can be made.")
    at, name = divmod(number * _step() % _total(), len(_names()))
    at, topic = divmod(at, len(TOPICS))
    at, region = divmod(at, len(REGIONS))
    return _names()[name], topic, REGIONS[region], YEARS[at]


def passage(number: int) -> Piece:
    """Write a fact as a passage of a manual."""
    name, topic, region, year = fact(number)
    value = int.from_bytes(hashlib.blake2b(str(number).encode(), digest_size=2).digest(), "big") % 1000
    text = (
        f"For {name} the {TOPICS[topic][0]} in {region} is stated for the reference year {year}. "
        f"The responsible team reports {value} units there, after review of the production documents of that year."
    )
    return Piece(f"{name} > {TOPICS[topic][0]}", None, text)


def question(number: int, *, loose: bool) -> str:
    """Ask for a fact, in the passage's words or in others."""
    name, topic, region, year = fact(number)
    return f"{name}, {TOPICS[topic][loose]}, {region} {year}?"


def volume(number: int) -> tuple[str, str]:
    """Give address and id of the document that holds a passage."""
    address = f"generated/{number // PER_DOCUMENT}"
    return address, document_id(address)


def ids(numbers: Iterable[int]) -> list[str]:
    """Give the ids of passages."""
    return [piece_id(volume(number)[1], passage(number)) for number in numbers]
