"""Prompts to CLIP's token ids (openai/CLIP `simple_tokenizer.py` and `clip.tokenize(truncate=True)`)."""

import html
from itertools import pairwise

import ftfy
import regex
import torch
from torch import Tensor

from ..metrics.bpe import SPECIALS, WORDS, Pair, merged, split_word, vocabulary


def _clean(text: str) -> str:
    fixed = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return regex.sub(r"\s+", " ", fixed).strip().lower()


class ClipTokenizer:
    """Byte-pair encoding with a file's merges, the earliest merge first."""

    def __init__(self, merges: list[Pair]) -> None:
        self.ids = vocabulary(merges)
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}

    def _symbols(self, word: str) -> tuple[str, ...]:
        if word in SPECIALS:
            return (word,)
        symbols = split_word(word)
        while True:
            pairs = [pair for pair in pairwise(symbols) if pair in self.ranks]
            if not pairs:
                return symbols
            symbols = merged(symbols, min(pairs, key=self.ranks.__getitem__))

    def tokenize(self, text: str, context: int) -> Tensor:
        """[1, context] int64, zeros past the end; a text that is too long is cut, its last token the end of text."""
        start, end = (self.ids[mark] for mark in SPECIALS)
        inner = [self.ids[symbol] for word in WORDS.findall(_clean(text)) for symbol in self._symbols(word)]
        ids = [start, *inner, end][:context]
        if 2 + len(inner) > context:
            ids[-1] = end
        return torch.tensor([ids + [0] * (context - len(ids))])
