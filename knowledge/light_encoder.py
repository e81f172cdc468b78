"""The bundled all-MiniLM-L6-v2 computed with numpy: a question is encoded without the seconds that torch takes to load.

BERT as in Devlin et al. 2019 (https://arxiv.org/abs/1810.04805), read from the same checked weights; its vectors are
those of sentence-transformers to 1e-6. Texts lie behind one another, so there is no padding to mask.
"""

import json
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


class LightEncoder:
    """Turns texts into unit vectors."""

    def __init__(self, folder: Path) -> None:
        """Read weights and words from a folder as sentence-transformers publishes them.

        Raises:
            OSError: a file is missing.
        """
        from safetensors.numpy import load_file
        from tokenizers import Tokenizer

        shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self._layers, self._heads = shape["num_hidden_layers"], shape["num_attention_heads"]
        self._epsilon = np.float32(shape["layer_norm_eps"])
        weights: dict[str, Floats] = load_file(folder / "model.safetensors")
        # Turned over once, so that few tokens are multiplied in two thirds of the time.
        turned = {name: np.ascontiguousarray(one.T) for name, one in weights.items() if name.startswith("encoder.")}
        self._weights = weights | turned
        self._tokens = Tokenizer.from_file(str(folder / "tokenizer.json"))
        most = json.loads((folder / "sentence_bert_config.json").read_text(encoding="utf-8"))["max_seq_length"]
        self._tokens.no_padding()
        self._tokens.enable_truncation(most)

    def encode(self, texts: Sequence[str]) -> list[list[float]]:
        """Give one unit vector a text: the mean of what the last layer makes of its tokens.

        All texts lie one behind the other in the same matrices: eight questions take twice the time of one.
        """
        tokens = [self._tokens.encode(text).ids for text in texts]
        ends = list(accumulate(map(len, tokens)))
        spans = [slice(end - len(ids), end) for ids, end in zip(tokens, ends, strict=True)]
        words, places, kinds = (
            self._weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position", "token_type")
        )
        seen = np.concatenate([words[ids] + places[: len(ids)] for ids in tokens])
        state = self._normal("embeddings.LayerNorm", seen + kinds[0])
        for number in range(self._layers):
            state = self._layer(f"encoder.layer.{number}.", state, spans)
        vectors = [state[span].mean(axis=0) for span in spans]
        return [[float(x) for x in vector / np.linalg.norm(vector)] for vector in vectors]

    def _layer(self, name: str, state: Floats, spans: Sequence[slice]) -> Floats:
        from scipy.special import erf

        parts = [self._linear(f"{name}attention.self.{part}", state) for part in ("query", "key", "value")]
        seen = np.concatenate([self._attention(*(part[span] for part in parts)) for span in spans])
        state = self._add(f"{name}attention.output.", state, seen)
        inner = self._linear(f"{name}intermediate.dense", state)
        return self._add(f"{name}output.", state, inner * (1 + erf(inner / np.sqrt(np.float32(2)))) / 2)

    def _attention(self, *parts: Floats) -> Floats:
        """Let the tokens of one text look at one another."""
        query, key, value = (part.reshape(len(part), self._heads, -1).swapaxes(0, 1) for part in parts)
        score = query @ key.swapaxes(1, 2) / np.sqrt(np.float32(query.shape[-1]))
        weight = np.exp(score - score.max(axis=-1, keepdims=True))
        seen = weight / weight.sum(axis=-1, keepdims=True) @ value
        return np.asarray(seen.swapaxes(0, 1).reshape(parts[0].shape))

    def _add(self, name: str, state: Floats, change: Floats) -> Floats:
        return self._normal(f"{name}LayerNorm", state + self._linear(f"{name}dense", change))

    def _linear(self, name: str, state: Floats) -> Floats:
        return np.asarray(state @ self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])

    def _normal(self, name: str, state: Floats) -> Floats:
        centred = state - state.mean(axis=-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(axis=-1, keepdims=True) + self._epsilon)
        return np.asarray(scaled * self._weights[f"{name}.weight"] + self._weights[f"{name}.bias"])
