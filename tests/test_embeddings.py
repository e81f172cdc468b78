"""The encoder of a question: the same vectors as the library's, without the seconds that it takes to load."""

import subprocess
import sys

import numpy as np
import pytest

from knowledge.embeddings import BUNDLED, FEW_TEXTS, load_encoder

TEXTS = ["Imperviousness density", "Quelle est la densité de couvert arboré à Séville ?", "a " * 400, "水", ""]


@pytest.mark.slow
def test_a_few_texts_get_the_vectors_that_many_get() -> None:
    encoder = load_encoder(BUNDLED)
    few, many = encoder.encode(TEXTS), encoder.encode(TEXTS * FEW_TEXTS)[: len(TEXTS)]
    assert np.abs(np.array(few) - np.array(many)).max() < 1e-5


def test_a_question_is_encoded_without_torch() -> None:
    encoded = f"from knowledge.embeddings import load_encoder; load_encoder({BUNDLED!r}).encode(['a question'])"
    code = [sys.executable, "-c", f"import sys; {encoded}; print('torch' in sys.modules)"]
    assert subprocess.run(code, capture_output=True, check=True).stdout.split() == [b"False"]
