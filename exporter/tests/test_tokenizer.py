"""tokenizer.json gives the ids of the reference's slow tokenizer, on plain and on awkward text.

The cases' ids were made with the reference's T5Tokenizer (transformers 4.57.6, SentencePiece 0.2.3).
"""

import json
from pathlib import Path

import pytest
from conftest import GOLDEN, TINY, Golden
from sentencepiece import SentencePieceProcessor
from tokenizers import Tokenizer

from vapfarm_exporter.cogvideox_manifest import NEGATIVE_PROMPT
from vapfarm_exporter.errors import CheckpointError, UnsupportedConfigError
from vapfarm_exporter.tokenizer import EOS_ID, PAD_ID, build_tokenizer, read_sentencepiece

CASES = json.loads((GOLDEN / "t5-tokenizer-cases.json").read_text(encoding="utf-8"))
MAX_TOKENS = 226
# A cluster of three marks on one letter: `tokenizers` looks clusters up whole, SentencePiece the longest prefix.
KNOWN_DIFFERENT = "a\u0300\u0301\u0302b"


@pytest.fixture(scope="module")
def tokenizer(exported: Path) -> Tokenizer:
    return Tokenizer.from_file(str(exported / "tokenizer.json"))


def ids_of(tokenizer: Tokenizer, text: str) -> list[int]:
    """Truncated as the reference does: the end token stays."""
    ids = tokenizer.encode(text).ids
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], EOS_ID]


def padded(ids: list[int]) -> list[int]:
    return ids + [PAD_ID] * (MAX_TOKENS - len(ids))


def test_golden_prompts_have_the_references_ids(tokenizer: Tokenizer, golden: Golden) -> None:
    case = golden.case
    texts = [case["prompt"], NEGATIVE_PROMPT]
    for prompt in case["ref_prompts"]:
        texts += [prompt, NEGATIVE_PROMPT]
    for call, text in zip(case["text_calls"], texts, strict=True):
        assert padded(ids_of(tokenizer, text)) == golden.tensors[f"{call}_ids"][0].tolist()


def test_the_negative_prompt_is_as_long_as_the_references() -> None:
    assert len(NEGATIVE_PROMPT) == 392


@pytest.mark.parametrize("case", [c for c in CASES if c["text"] != KNOWN_DIFFERENT], ids=lambda c: ascii(c["text"])[1:30])
def test_awkward_text_has_the_slow_tokenizers_ids(tokenizer: Tokenizer, case: dict) -> None:
    assert ids_of(tokenizer, case["text"]) == case["ids"]


def test_every_character_between_letters_has_sentencepieces_ids(tokenizer: Tokenizer) -> None:
    slow = SentencePieceProcessor(model_file=str(TINY / "tokenizer/spiece.model"))
    texts = [f"a{chr(code)}b" for code in range(0x3000) if code != 0]
    fast = tokenizer.encode_batch(texts)
    wrong = [ascii(text) for text, ids in zip(texts, fast, strict=True) if ids.ids != [*slow.encode(text), EOS_ID]]
    assert wrong == []


def test_a_file_that_is_no_t5_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is missing"):
        read_sentencepiece(tmp_path / "spiece.model")
    (tmp_path / "spiece.model").write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match="not a SentencePiece model"):
        read_sentencepiece(tmp_path / "spiece.model")
    proto = read_sentencepiece(TINY / "tokenizer/spiece.model")
    proto.normalizer_spec.add_dummy_prefix = False
    (tmp_path / "spiece.model").write_bytes(proto.SerializeToString())
    with pytest.raises(UnsupportedConfigError, match="not treated as T5 does"):
        read_sentencepiece(tmp_path / "spiece.model")
    proto.trainer_spec.pad_id = 3
    (tmp_path / "spiece.model").write_bytes(proto.SerializeToString())
    with pytest.raises(UnsupportedConfigError, match="not a unigram model"):
        read_sentencepiece(tmp_path / "spiece.model")


def test_a_gap_in_the_added_tokens_is_refused(checkpoint: Path) -> None:
    path = checkpoint / "tokenizer/tokenizer_config.json"
    content = json.loads(path.read_text())
    del content["added_tokens_decoder"]["300"]
    path.write_text(json.dumps(content))
    with pytest.raises(CheckpointError, match="no token has the id 300"):
        build_tokenizer(checkpoint / "tokenizer")
