"""CLIP's byte-pair vocabulary (openai/CLIP `simple_tokenizer.py`): its symbols, and merges learnt from a small text.

Merges are kept as CLIP's file has them once unzipped: a header line, then one pair a line. Ids: 256 byte symbols, the
same as ends of words, one for each merge, start of text, end of text.
"""

from collections import Counter
from itertools import pairwise

import regex

HEADER = "#version: 0.2"
END_OF_WORD = "</w>"
SPECIALS = ("<|startoftext|>", "<|endoftext|>")
WORDS = regex.compile(
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|\p{L}+|\p{N}|[^\s\p{L}\p{N}]+", regex.IGNORECASE
)

Pair = tuple[str, str]


def byte_symbols() -> dict[int, str]:
    """Byte -> printable character, in the order of the vocabulary: those that print stand for themselves and come first."""
    own = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    rest = [byte for byte in range(256) if byte not in own]
    return {**{byte: chr(byte) for byte in own}, **{byte: chr(256 + place) for place, byte in enumerate(rest)}}


def merged(word: tuple[str, ...], pair: Pair) -> tuple[str, ...]:
    """The word with each occurrence of the pair, from the left, as one symbol."""
    out: list[str] = []
    for symbol in word:
        # A symbol made here holds both parts, so it is never the pair's first again.
        if out and (out[-1], symbol) == pair:
            out[-1] = out[-1] + symbol
        else:
            out.append(symbol)
    return tuple(out)


def split_word(word: str) -> tuple[str, ...]:
    """A word's symbols before any merge."""
    symbols = byte_symbols()
    letters = [symbols[byte] for byte in word.encode("utf-8")]
    return (*letters[:-1], letters[-1] + END_OF_WORD)


def learn_merges(text: str, count: int) -> list[Pair]:
    """The most frequent pair, again and again; of equal ones the first in the order of code points."""
    words = Counter(split_word(word) for word in WORDS.findall(text.lower()))
    merges: list[Pair] = []
    while len(merges) < count:
        pairs: Counter[Pair] = Counter()
        for word, times in words.items():
            for pair in pairwise(word):
                pairs[pair] += times
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        words = Counter({merged(word, best): times for word, times in words.items()})
    return merges


def merges_text(merges: list[Pair]) -> str:
    """The file's content."""
    return "\n".join([HEADER, *(" ".join(pair) for pair in merges)]) + "\n"


def read_merges(text: str) -> list[Pair]:
    """The pairs of a file's content, without its header."""
    return [(first, second) for first, second in (line.split() for line in text.splitlines()[1:])]


def vocabulary(merges: list[Pair]) -> dict[str, int]:
    """Symbol -> id."""
    single = list(byte_symbols().values())
    symbols = [*single, *(symbol + END_OF_WORD for symbol in single), *("".join(pair) for pair in merges), *SPECIALS]
    return {symbol: place for place, symbol in enumerate(symbols)}
