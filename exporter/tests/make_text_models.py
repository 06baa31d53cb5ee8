"""Writes test/fixtures/text/models: two small SentencePiece models whose settings differ from T5's in every way that matters.

`python exporter/tests/make_text_models.py`, with the packages of requirements.lock. Training is not the same everywhere, so
its results are kept; the tests compare tokenizers on them.
"""

import io
import json
import random
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from text_strings import strings, words

MODELS = Path(__file__).resolve().parents[2] / "test/fixtures/text/models"
# Source code points, target: longest first, to nothing, to spaces, to more, and a space to something else.
RULES = (
    "41\t61",
    "41 42\t78 79",
    "41 42 43\t20 7A 20",
    "E9\t65 301",
    "200D\t",
    "A0\t20",
    "3000\t20 20",
    "2E 2E 2E\t2026",
    "20 20 20\t2423",
)
PLAIN = {"lstrip": False, "rstrip": False, "single_word": False, "normalized": False, "special": True}


def _train(folder: Path, **options: object) -> sentencepiece_model_pb2.ModelProto:
    rng = random.Random(77)
    texts = [*strings(77, 200), *(words(rng) for _ in range(3000))]
    corpus = [line for text in texts for line in text.encode("utf-8", "replace").decode().splitlines() if "\0" not in line]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus),
        model_writer=model,
        model_type="unigram",
        hard_vocab_limit=False,
        num_threads=1,
        minloglevel=2,
        **options,
    )
    return sentencepiece_model_pb2.ModelProto.FromString(model.getvalue())


def _save(folder: Path, proto: sentencepiece_model_pb2.ModelProto, config: dict) -> None:
    (folder / "spiece.model").write_bytes(proto.SerializeToString(deterministic=True))
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=1, ensure_ascii=True) + "\n", encoding="utf-8")


def like_umt5(folder: Path) -> None:
    """UMT5's ids (pad 0, end 1, begin 2, unknown 3), pieces for bytes, more extra ids, and a character map of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    rules = folder / "rules.tsv"
    rules.write_text("\n".join(RULES) + "\n", encoding="utf-8")
    options = {
        "pad_id": 0,
        "eos_id": 1,
        "bos_id": 2,
        "unk_id": 3,
        "byte_fallback": True,
        "vocab_size": 700,
        "character_coverage": 0.98,
    }
    proto = _train(folder, normalization_rule_tsv=str(rules), **options)
    rules.unlink()
    pieces = len(proto.pieces)
    extra = [f"<extra_id_{index}>" for index in range(300)]
    decoder = {pieces + 299 - index: {"content": text, **PLAIN} for index, text in enumerate(extra)}
    special = dict(enumerate(["<pad>", "</s>", "<s>", "<unk>"]))
    config = {
        "added_tokens_decoder": {str(key): {"content": text, **PLAIN} for key, text in special.items()}
        | {str(k): decoder[k] for k in sorted(decoder)},
        "additional_special_tokens": extra,
        **{"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"},
        **{"extra_ids": 300, "legacy": True, "sp_model_kwargs": {}, "tokenizer_class": "T5Tokenizer"},
    }
    _save(folder, proto, config)


def other_flags(folder: Path) -> None:
    """No normalization, user-defined and unused pieces, a space after the text, not legacy, and tokens with every flag."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {"pad_id": 0, "eos_id": 1, "bos_id": -1, "unk_id": 2, "vocab_size": 600, "character_coverage": 0.98}
    symbols = ["ab", "abc", "<sep>", "▁▁", "😀", "é"]
    proto = _train(
        folder, normalization_rule_name="identity", remove_extra_whitespaces=False, user_defined_symbols=symbols, **options
    )
    proto.trainer_spec.treat_whitespace_as_suffix = True
    for piece in proto.pieces[20:600:13]:
        piece.type = sentencepiece_model_pb2.ModelProto.SentencePiece.UNUSED
    pieces = len(proto.pieces)
    added = [
        ("<left>", "lstrip"),
        ("<right>", "rstrip"),
        ("cat", "single_word"),
        ("<sep", None),
        ("<sep><sep>", None),
        ("p>x", None),
    ]
    tokens = {
        pieces + index: {"content": text, **PLAIN, "special": False, **({flag: True} if flag else {})}
        for index, (text, flag) in enumerate(added)
    }
    special = {index: {"content": text, **PLAIN} for index, text in enumerate(["<pad>", "</s>", "<unk>"])}
    config = {
        "added_tokens_decoder": {str(key): token for key, token in {**special, **tokens}.items()},
        "additional_special_tokens": [],
        **{"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>", "extra_ids": 0},
        **{"legacy": False, "add_prefix_space": True, "sp_model_kwargs": {}, "tokenizer_class": "T5Tokenizer"},
    }
    _save(folder, proto, config)


if __name__ == "__main__":
    like_umt5(MODELS / "like-umt5")
    other_flags(MODELS / "other-flags")
