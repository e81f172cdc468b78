"""The vectors of the product cards as they come with the package: a first start looks them up instead of encoding.

A vector is found by the text it is of and the weights it was made with; a text that is not there is encoded. After
products have changed, `python -m knowledge.card_vectors` (`make vectors`) writes the file again.
"""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from knowledge.embeddings import BUNDLED, BUNDLED_SHA256, Encoder, bundled_folder, load_encoder

PATH = Path(__file__).parent / "card_vectors.npz"


class CardVectors:
    """Vectors by text, of the bundled encoder; half precision, which changes a cosine by less than 0.001."""

    def __init__(self, path: Path = PATH) -> None:
        with np.load(path, allow_pickle=False) as file:
            self._rows = {key: row for row, key in enumerate(file["keys"].tolist())}
            self._vectors = file["vectors"].astype(np.float32)

    def find(self, text: str) -> list[float] | None:
        """Give the vector of a text; None when it did not come with the package."""
        row = self._rows.get(_key(text))
        if row is None:
            return None
        vector: list[float] = self._vectors[row].tolist()
        return vector


def text_encoder(model: str) -> Callable[[list[str]], list[list[float]]]:
    """Give a function that makes vectors of the cards' texts; the encoder is loaded when a text needs it.

    Raises:
        EmbeddingUnavailable: the encoder's package is missing or its weights are not the known ones, though all
            vectors came with the package: questions could not be encoded.
    """
    if model != BUNDLED:
        return load_encoder(model).encode
    bundled_folder()
    known = CardVectors()

    def encode(texts: list[str]) -> list[list[float]]:
        found = {text: known.find(text) for text in texts}
        if missing := [text for text, vector in found.items() if vector is None]:
            found |= dict(zip(missing, load_encoder(model).encode(missing), strict=True))
        return [vector for text in texts if (vector := found[text]) is not None]

    return encode


def write(texts: Iterable[str], encoder: Encoder, path: Path = PATH) -> int:
    """Encode the texts and write the file; gives how many there are."""
    unique = sorted(set(texts))
    vectors = np.asarray(encoder.encode(unique), np.float16)
    np.savez_compressed(path, keys=np.array([_key(text) for text in unique]), vectors=vectors)
    return len(unique)


def main() -> None:
    """Write the file for the products as they are."""
    from knowledge.catalogue import load_catalogue
    from knowledge.ingest import all_entries, encoded_texts

    write(encoded_texts(all_entries(load_catalogue()).values()), load_encoder(BUNDLED))


def _key(text: str) -> bytes:
    return hashlib.sha256(f"{BUNDLED_SHA256} {text}".encode()).hexdigest()[:16].encode()


if __name__ == "__main__":
    main()
