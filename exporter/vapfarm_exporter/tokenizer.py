"""The tokenizer file: a checkpoint's SentencePiece model and added tokens as one tokenizer.json, in a format of our own.

The worker runs transformers' slow T5Tokenizer on it (services/domain/text), so the file holds what that reads from
`spiece.model` and `tokenizer_config.json`, and nothing is computed here. Format `vapfarm-sentencepiece-1`:

- `pieces`: [text, score, type] by id; scores are float32, printed exactly; types are SentencePiece's numbers.
- `normalizer`: `charsmap` (precompiled_charsmap in base64) and the flags of NormalizerSpec and TrainerSpec.
- `added_tokens`: id, content, lstrip, rstrip, single_word, and whether the configuration calls it special.
- `byte_fallback`, `legacy`, `add_prefix_space`, `unk_token`, `pad_id`, `eos_id`, `unk_id` (SentencePiece's unknown piece).
"""

import base64
import json
from dataclasses import dataclass
from pathlib import Path

from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from .checkpoint import read_json
from .errors import CheckpointError, UnsupportedConfigError

FORMAT = "vapfarm-sentencepiece-1"
# Of T5 and UMT5.
PAD_ID, EOS_ID = 0, 1
_TRAINER, _PIECE = sentencepiece_model_pb2.TrainerSpec, sentencepiece_model_pb2.ModelProto.SentencePiece
_CLASSES = ("T5Tokenizer", "T5TokenizerFast")
_ROLES = {"eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
_OPTIONAL_ROLES = ("bos_token", "sep_token", "cls_token", "mask_token")
_FLAGS = ("lstrip", "rstrip", "single_word")

_Object = dict[str, object]


@dataclass(frozen=True)
class TokenizerFile:
    """The content of tokenizer.json. `size` is the number of ids that it can give."""

    size: int
    pad_id: int
    eos_id: int
    content: _Object

    def save(self, path: Path) -> None:
        """Write the file; the same checkpoint gives the same bytes."""
        path.write_text(json.dumps(self.content, separators=(",", ":"), allow_nan=False) + "\n", encoding="utf-8")


def read_sentencepiece(path: Path) -> sentencepiece_model_pb2.ModelProto:
    """The SentencePiece model, refused unless it is a unigram model that SentencePiece itself opens."""
    proto = sentencepiece_model_pb2.ModelProto()
    try:
        data = path.read_bytes()
        proto.ParseFromString(data)
        if proto.trainer_spec.model_type != _TRAINER.UNIGRAM:
            kind = _TRAINER.ModelType.Name(proto.trainer_spec.model_type)
            raise UnsupportedConfigError(f"{path}: a SentencePiece model of type {kind}, only UNIGRAM can be exported")
        SentencePieceProcessor(model_proto=data)
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except UnsupportedConfigError:
        raise
    except Exception as error:  # protobuf's DecodeError has no public home
        raise CheckpointError(f"{path} is not a SentencePiece model: {error}") from error
    if not any(piece.type == _PIECE.UNKNOWN for piece in proto.pieces):
        raise UnsupportedConfigError(f"{path}: a model without a piece for unknown characters")
    return proto


def _content(token: object) -> str:
    """A token's text: a string, or an object as AddedToken is written."""
    text = token.get("content") if isinstance(token, dict) else token
    if not isinstance(text, str) or text == "":
        raise CheckpointError(f"tokenizer_config.json: {token!r} is not a token")
    return text


def _refuse_unsupported(config: _Object) -> None:
    wanted: dict[str, tuple[object, ...]] = {
        "tokenizer_class": (*_CLASSES, None),
        "sp_model_kwargs": ({}, None),
        "padding_side": ("right", None),
        "truncation_side": ("right", None),
        "split_special_tokens": (False, None),
    }
    for key, values in wanted.items():
        if config.get(key) not in values:
            raise UnsupportedConfigError(f"tokenizer_config.json: {key} = {config.get(key)!r} is not supported")


def _special_tokens(config: _Object) -> dict[str, str]:
    """Role -> text of the special tokens of one role."""
    given = {
        **{role: config.get(role) for role in _OPTIONAL_ROLES},
        **{role: config.get(role, token) for role, token in _ROLES.items()},
    }
    return {role: _content(token) for role, token in given.items() if token is not None or role in _ROLES}


def _additional(config: _Object) -> list[str]:
    extra = config.get("extra_special_tokens") or {}
    tokens = config.get("additional_special_tokens") or []
    if not isinstance(tokens, list) or not isinstance(extra, dict):
        raise CheckpointError("tokenizer_config.json: the special tokens are not a list of tokens")
    return [_content(token) for token in [*tokens, *extra.values()]]


def _decoder(config: _Object, pieces: int) -> dict[int, _Object]:
    """Added tokens by id as T5Tokenizer collects them: its own <extra_id_N>, then those of the configuration."""
    entries = config.get("added_tokens_decoder")
    if not isinstance(entries, dict):
        raise CheckpointError("tokenizer_config.json has no added_tokens_decoder")
    extra_ids = config.get("extra_ids", 100)
    if not isinstance(extra_ids, int):
        raise CheckpointError(f"tokenizer_config.json: extra_ids = {extra_ids!r}")
    named = sum("<extra_id_" in token for token in _additional(config))
    own = extra_ids if config.get("additional_special_tokens") is None else named
    tokens: dict[int, _Object] = {
        pieces - 1 + extra_ids - index: {"content": f"<extra_id_{index}>", "lstrip": True, "rstrip": True} for index in range(own)
    }
    for token_id, entry in entries.items():
        if not token_id.isdecimal() or not isinstance(entry, dict):
            raise CheckpointError(f"tokenizer_config.json: added_tokens_decoder[{token_id!r}] is not a token")
        tokens[int(token_id)] = {"content": _content(entry), **_flags(entry)}
    return tokens


def _flags(token: _Object) -> _Object:
    return {flag: bool(token.get(flag, False)) for flag in _FLAGS}


def _check_ids(decoder: dict[int, _Object], pieces: int) -> int:
    """The number of ids, each of which must be a piece or an added token."""
    size = max(pieces, max(decoder, default=-1) + 1)
    for token_id in range(pieces, size):
        if token_id not in decoder:
            raise CheckpointError(f"tokenizer_config.json: no token has the id {token_id}")
    return size


def _normalizer(proto: sentencepiece_model_pb2.ModelProto) -> _Object:
    spec = proto.normalizer_spec
    return {
        "charsmap": base64.b64encode(spec.precompiled_charsmap).decode("ascii"),
        "add_dummy_prefix": spec.add_dummy_prefix,
        "remove_extra_whitespaces": spec.remove_extra_whitespaces,
        "escape_whitespaces": spec.escape_whitespaces,
        "treat_whitespace_as_suffix": proto.trainer_spec.treat_whitespace_as_suffix,
    }


def read_tokenizer(folder: Path) -> TokenizerFile:
    """The tokenizer of a checkpoint's `tokenizer` folder."""
    proto = read_sentencepiece(folder / "spiece.model")
    config = read_json(folder / "tokenizer_config.json")
    _refuse_unsupported(config)
    decoder = _decoder(config, len(proto.pieces))
    size = _check_ids(decoder, len(proto.pieces))
    roles = _special_tokens(config)
    special = {*roles.values(), *_additional(config)}
    ids = {str(token["content"]): token_id for token_id, token in decoder.items()}
    if special - set(ids):
        raise CheckpointError(f"tokenizer_config.json: added_tokens_decoder lacks {', '.join(sorted(special - set(ids)))}")
    added = [
        {"id": token_id, "content": text, **_flags(decoder[token_id]), "special": text in special}
        for text, token_id in sorted(ids.items(), key=lambda item: item[1])
    ]
    content: _Object = {
        "format": FORMAT,
        "pad_id": ids[roles["pad_token"]],
        "eos_id": ids[roles["eos_token"]],
        "unk_id": next(index for index, piece in enumerate(proto.pieces) if piece.type == _PIECE.UNKNOWN),
        "unk_token": roles["unk_token"],
        "legacy": config.get("legacy") is not False,
        "add_prefix_space": config.get("add_prefix_space") is not False,
        "byte_fallback": proto.trainer_spec.byte_fallback,
        "normalizer": _normalizer(proto),
        "added_tokens": added,
        "pieces": [[piece.piece, piece.score, piece.type] for piece in proto.pieces],
    }
    return TokenizerFile(size, ids[roles["pad_token"]], ids[roles["eos_token"]], content)
