"""The tokenizer file: the checkpoint's SentencePiece model as one tokenizer.json that gives the reference's ids.

The reference uses the slow T5Tokenizer: split at special tokens, SentencePiece with its own normalisation, then </s>.
Padding and truncation to the model's length are the caller's (truncation keeps </s> as the last id). Known differences: a
text that itself ends in the token </s> gets a second one, and rare stacks of combining marks become other unknowns.
"""

from pathlib import Path

from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from .checkpoint import read_json
from .errors import CheckpointError, UnsupportedConfigError

PAD_ID, EOS_ID, UNKNOWN_ID = 0, 1, 2
# The JavaScript port of `tokenizers` turns a zero-width joiner into a space; SentencePiece keeps it, and a model without
# it reads an unknown character. A private-use character is unknown to all of them.
_JOINER, _NO_CHARACTER = "\u200d", "\ue000"


def read_sentencepiece(path: Path) -> sentencepiece_model_pb2.ModelProto:
    """The SentencePiece model, refused unless it is a unigram model with T5's special pieces."""
    proto = sentencepiece_model_pb2.ModelProto()
    try:
        proto.ParseFromString(path.read_bytes())
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing") from None
    except Exception as error:  # protobuf's DecodeError has no public home
        raise CheckpointError(f"{path} is not a SentencePiece model: {error}") from error
    trainer, normalizer = proto.trainer_spec, proto.normalizer_spec
    wanted = (sentencepiece_model_pb2.TrainerSpec.UNIGRAM, PAD_ID, EOS_ID, UNKNOWN_ID)
    if (trainer.model_type, trainer.pad_id, trainer.eos_id, trainer.unk_id) != wanted:
        raise UnsupportedConfigError(f"{path}: not a unigram model with pad 0, end 1 and unknown 2")
    plain = normalizer.add_dummy_prefix and normalizer.remove_extra_whitespaces and normalizer.escape_whitespaces
    if not plain or trainer.byte_fallback or trainer.treat_whitespace_as_suffix:
        raise UnsupportedConfigError(f"{path}: spaces or unknown characters are not treated as T5 does")
    return proto


def _vocabulary(proto: sentencepiece_model_pb2.ModelProto, added: dict[int, AddedToken]) -> list[tuple[str, float]]:
    pieces = [(piece.piece, piece.score) for piece in proto.pieces]
    for token_id in range(len(pieces), max(added, default=-1) + 1):
        if token_id not in added:
            raise CheckpointError(f"tokenizer_config.json: no token has the id {token_id}")
        pieces.append((added[token_id].content, 0.0))
    return pieces


def _added_tokens(folder: Path) -> dict[int, AddedToken]:
    entries = read_json(folder / "tokenizer_config.json").get("added_tokens_decoder")
    if not isinstance(entries, dict):
        raise CheckpointError(f"{folder / 'tokenizer_config.json'} has no added_tokens_decoder")
    keys = ("lstrip", "rstrip", "single_word", "normalized", "special")
    return {
        int(token_id): AddedToken(entry["content"], **{key: bool(entry.get(key, False)) for key in keys})
        for token_id, entry in sorted(entries.items(), key=lambda item: int(item[0]))
    }


def _normalizer(proto: sentencepiece_model_pb2.ModelProto) -> normalizers.Normalizer:
    """SentencePiece's character map, then spaces at the ends removed and runs of spaces joined."""
    steps = []
    pieces = [piece.piece for piece in proto.pieces]
    if not any(char in piece for piece in pieces for char in (_JOINER, _NO_CHARACTER)):
        steps.append(normalizers.Replace(_JOINER, _NO_CHARACTER))
    if proto.normalizer_spec.precompiled_charsmap:
        steps.append(normalizers.Precompiled(proto.normalizer_spec.precompiled_charsmap))
    steps += [normalizers.Replace(Regex(" {2,}"), " "), normalizers.Replace(Regex("^ | $"), "")]
    return normalizers.Sequence(steps)


def build_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a checkpoint's `tokenizer` folder."""
    proto = read_sentencepiece(folder / "spiece.model")
    added = _added_tokens(folder)
    tokenizer = Tokenizer(models.Unigram(_vocabulary(proto, added), unk_id=UNKNOWN_ID, byte_fallback=False))
    tokenizer.normalizer = _normalizer(proto)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.decoder = decoders.Metaspace(replacement="▁", prepend_scheme="always", split=True)
    tokenizer.add_tokens([added[token_id] for token_id in sorted(added)])
    tokenizer.post_processor = processors.TemplateProcessing(single=["$A", "</s>"], special_tokens=[("</s>", EOS_ID)])
    return tokenizer
