"""tokenizer.json holds what the checkpoint's tokenizer holds; what is not supported is refused by name.

That it gives the reference's ids is tested where it is read (test/unit/text), on fixtures that test_text.py checks.
"""

import base64
import json
from pathlib import Path

import pytest
from conftest import ROOT, TINY, edit_json
from sentencepiece import SentencePieceProcessor, sentencepiece_model_pb2

from vapfarm_exporter.cogvideox_manifest import NEGATIVE_PROMPT
from vapfarm_exporter.errors import CheckpointError, UnsupportedConfigError
from vapfarm_exporter.tokenizer import EOS_ID, PAD_ID, read_sentencepiece, read_tokenizer

MODELS = ROOT / "test/fixtures/text/models"
FOLDERS = [TINY / "tokenizer", *sorted(MODELS.iterdir())]


def proto_of(folder: Path) -> sentencepiece_model_pb2.ModelProto:
    return sentencepiece_model_pb2.ModelProto.FromString((folder / "spiece.model").read_bytes())


@pytest.fixture
def folder(checkpoint: Path) -> Path:
    return checkpoint / "tokenizer"


def test_the_negative_prompt_is_as_long_as_the_references() -> None:
    assert len(NEGATIVE_PROMPT) == 392


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_the_file_holds_the_model_exactly(folder: Path, tmp_path: Path) -> None:
    tokenizer, proto = read_tokenizer(folder), proto_of(folder)
    tokenizer.save(tmp_path / "tokenizer.json")
    content = json.loads((tmp_path / "tokenizer.json").read_text())
    assert content["format"] == "vapfarm-sentencepiece-1"
    assert content["pieces"] == [[piece.piece, piece.score, piece.type] for piece in proto.pieces]
    assert base64.b64decode(content["normalizer"]["charsmap"]) == proto.normalizer_spec.precompiled_charsmap
    assert content["unk_id"] == SentencePieceProcessor(model_file=str(folder / "spiece.model")).unk_id()
    assert (tokenizer.pad_id, tokenizer.eos_id) == (content["pad_id"], content["eos_id"]) == (PAD_ID, EOS_ID)
    assert tokenizer.size == max([len(proto.pieces), *(token["id"] + 1 for token in content["added_tokens"])])


@pytest.mark.parametrize("folder", sorted(MODELS.iterdir()), ids=lambda folder: folder.name)
def test_the_fixtures_models_were_exported_by_this_code(folder: Path, tmp_path: Path) -> None:
    read_tokenizer(folder).save(tmp_path / "tokenizer.json")
    assert (tmp_path / "tokenizer.json").read_bytes() == (folder / "tokenizer.json").read_bytes()


def test_settings_come_from_the_model_and_the_configuration() -> None:
    umt5, other = (read_tokenizer(MODELS / name).content for name in ("like-umt5", "other-flags"))
    assert (umt5["byte_fallback"], umt5["legacy"], umt5["unk_id"]) == (True, True, 3)
    assert (other["byte_fallback"], other["legacy"], other["unk_id"]) == (False, False, 2)
    assert other["normalizer"] == {
        "charsmap": "",
        "add_dummy_prefix": True,
        "remove_extra_whitespaces": False,
        "escape_whitespaces": True,
        "treat_whitespace_as_suffix": True,
    }
    flags = {token["content"]: token for token in other["added_tokens"]}
    assert flags["<left>"]["lstrip"] and flags["<right>"]["rstrip"] and flags["cat"]["single_word"]
    assert flags["</s>"]["special"] and not flags["cat"]["special"]


def test_extra_ids_that_the_configuration_leaves_out_are_added_as_t5_adds_them(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    decoder = {key: token for key, token in config["added_tokens_decoder"].items() if int(key) < 267}
    edit_json(folder / "tokenizer_config.json", added_tokens_decoder=decoder)
    tokens = {token["content"]: token for token in read_tokenizer(folder).content["added_tokens"]}
    assert (tokens["<extra_id_0>"]["id"], tokens["<extra_id_99>"]["id"]) == (366, 267)
    assert tokens["<extra_id_0>"]["lstrip"] and tokens["<extra_id_0>"]["rstrip"] and tokens["<extra_id_0>"]["special"]


def test_a_file_that_is_no_unigram_model_is_refused(folder: Path) -> None:
    path = folder / "spiece.model"
    proto = proto_of(folder)
    for kind in ("BPE", "WORD", "CHAR"):
        proto.trainer_spec.model_type = sentencepiece_model_pb2.TrainerSpec.ModelType.Value(kind)
        path.write_bytes(proto.SerializeToString())
        with pytest.raises(UnsupportedConfigError, match=f"of type {kind}, only UNIGRAM"):
            read_sentencepiece(path)
    path.write_bytes(b"not a model")
    with pytest.raises(CheckpointError, match="not a SentencePiece model"):
        read_sentencepiece(path)
    path.unlink()
    with pytest.raises(CheckpointError, match="is missing"):
        read_sentencepiece(path)


def test_a_model_that_sentencepiece_does_not_open_is_refused(folder: Path) -> None:
    proto = proto_of(folder)
    proto.pieces[40].piece = proto.pieces[41].piece
    (folder / "spiece.model").write_bytes(proto.SerializeToString())
    with pytest.raises(CheckpointError, match="already defined"):
        read_sentencepiece(folder / "spiece.model")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("tokenizer_class", "ByT5Tokenizer"),
        ("sp_model_kwargs", {"enable_sampling": True}),
        ("padding_side", "left"),
        ("truncation_side", "left"),
        ("split_special_tokens", True),
    ],
)
def test_a_configuration_that_changes_ids_otherwise_is_refused(folder: Path, key: str, value: object) -> None:
    edit_json(folder / "tokenizer_config.json", **{key: value})
    with pytest.raises(UnsupportedConfigError, match=key):
        read_tokenizer(folder)


def test_tokens_without_an_id_are_refused(folder: Path) -> None:
    path = folder / "tokenizer_config.json"
    config = json.loads(path.read_text())
    edit_json(path, bos_token="<begin>")
    with pytest.raises(CheckpointError, match="lacks <begin>"):
        read_tokenizer(folder)
    edit_json(path, bos_token=None, added_tokens_decoder={**config["added_tokens_decoder"], "400": {"content": "<far>"}})
    with pytest.raises(CheckpointError, match="no token has the id 367"):
        read_tokenizer(folder)
    path.write_text(json.dumps({key: value for key, value in config.items() if key != "added_tokens_decoder"}))
    with pytest.raises(CheckpointError, match="no added_tokens_decoder"):
        read_tokenizer(folder)
