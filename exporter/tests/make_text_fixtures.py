"""Writes test/fixtures/text: strings and what the reference's Python makes of them.

`python exporter/tests/make_text_fixtures.py`, with transformers==4.57.6, sentencepiece==0.2.3, ftfy==6.3.1 on Python 3.11.
The locked transformers has no slow T5Tokenizer any more; the tests check the fixtures with the packages that are locked.
"""

import gzip
import hashlib
import html
import json
import random
import re
from pathlib import Path

import ftfy
from text_strings import strings

TEXT = Path(__file__).resolve().parents[2] / "test/fixtures/text"
TINY = TEXT.parent / "vap-cogvideox-tiny/tokenizer"
SEED, COUNT, IN_CLEAR = 20_260_101, 10_000, 500
# Fragments that meet the settings of the models in test/fixtures/text/models.
FRAGMENTS = (
    *(
        "<left>",
        "<right>",
        "cat",
        "<sep",
        "<sep><sep>",
        "p>x",
        "<sep>",
        "abc",
        "ABC",
        "ab",
        "AB",
        "é",
        "...",
        "   ",
        " ",
        "\u3000",
        "▁▁",
    ),
    *("<extra_id_299>", "<s>", "<unk>", "</s>", "A", "x", "\u200d", "😀", "日本", "\0"),
)


def clean(prompt: str) -> str:
    """Wan's prompt_clean (diffusers, pipeline_wan_i2v.py)."""
    text = html.unescape(html.unescape(ftfy.fix_text(prompt))).strip()
    return re.sub(r"\s+", " ", text).strip()


def replace_surrogates(text: str) -> str:
    """What is tokenized where the reference raises."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def digest(ids: list[int]) -> str:
    """Ids in few characters."""
    return hashlib.sha256(",".join(map(str, ids)).encode()).hexdigest()[:12]


def model_strings(seed: int, count: int) -> list[str]:
    """Strings for the models with other settings."""
    rng = random.Random(seed)
    own = ["".join(rng.choice(FRAGMENTS) for _ in range(rng.randint(1, 8))) for _ in range(count)]
    return [replace_surrogates(text) for text in [*own, *strings(seed, count)]]


def _ids(tokenizer: object, text: str, length: int) -> list[int]:
    encoded = tokenizer(text, padding="max_length", max_length=length, truncation=True, add_special_tokens=True)  # type: ignore[operator]
    return encoded.input_ids[: sum(encoded.attention_mask)]


def _write_cases(tokenizer: object) -> None:
    lines = []
    for index, text in enumerate(strings(SEED, COUNT)):
        cleaned = clean(text)
        t5, wan = _ids(tokenizer, replace_surrogates(text), 226), _ids(tokenizer, cleaned, 512)
        ids = [t5, wan] if index < IN_CLEAR else [digest(t5), digest(wan)]
        lines.append(json.dumps([text, None if cleaned == text else cleaned, *ids], separators=(",", ":")))
    data = "\n".join(lines) + "\n"
    (TEXT / "cases.jsonl.gz").write_bytes(gzip.compress(data.encode("ascii"), 9, mtime=0))


def _write_model_cases(folder: Path) -> None:
    from transformers import T5Tokenizer  # noqa: PLC0415

    tokenizer = T5Tokenizer.from_pretrained(folder)
    cases = [[text, _ids(tokenizer, text, 64)] for text in model_strings(5, 250)]
    lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
    (folder / "cases.json").write_text(f"[\n{lines}\n]\n", encoding="ascii")


def main() -> None:
    """All of them."""
    from transformers import T5Tokenizer  # noqa: PLC0415

    _write_cases(T5Tokenizer.from_pretrained(TINY))
    for folder in sorted((TEXT / "models").iterdir()):
        _write_model_cases(folder)


if __name__ == "__main__":
    main()
