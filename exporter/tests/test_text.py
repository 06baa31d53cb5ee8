"""The fixtures and tables of the text that Node tokenizes are what the locked packages give.

T5's own splitting needs a transformers that is not locked (make_text_fixtures.py); here its ids are SentencePiece's.
"""

import gzip
import json
import unicodedata
from pathlib import Path

import ftfy
import pytest
from conftest import ROOT, TINY
from make_text_fixtures import COUNT, IN_CLEAR, SEED, clean, digest, model_strings, replace_surrogates
from sentencepiece import SentencePieceProcessor
from text_strings import strings
from text_tables import TABLES, TEXT

FIXTURES = ROOT / "test/fixtures/text"
EOS_ID = 1
pytestmark = pytest.mark.skipif(unicodedata.unidata_version != "14.0.0", reason="the reference is Python 3.11, with Unicode 14")


@pytest.fixture(scope="module")
def cases() -> list[list]:
    return [json.loads(line) for line in gzip.decompress((FIXTURES / "cases.jsonl.gz").read_bytes()).splitlines()]


@pytest.mark.parametrize("path", TABLES)
def test_the_tables_are_the_packages(path: str) -> None:
    assert (TEXT / path).read_text(encoding="utf-8") == TABLES[path]()


def test_the_strings_are_those_of_the_seed(cases: list[list]) -> None:
    assert [text for text, *_ in cases] == strings(SEED, COUNT)


def test_cleaned_text_is_what_ftfy_and_html_make_of_it(cases: list[list]) -> None:
    assert [text for text, cleaned, *_ in cases if clean(text) != (text if cleaned is None else cleaned)] == []


def test_ids_are_sentencepieces_where_the_text_has_no_added_token(cases: list[list]) -> None:
    model = SentencePieceProcessor(model_file=str(TINY / "tokenizer/spiece.model"))

    def ids_of(text: str, length: int) -> list[int]:
        return [*model.encode(replace_surrogates(text))[: length - 1], EOS_ID]

    compared = 0
    for index, (text, cleaned, t5, wan) in enumerate(cases):
        for source, length, wanted in ((text, 226, t5), (text if cleaned is None else cleaned, 512, wan)):
            if any(token in source for token in ("</s>", "<pad>", "<unk>", "<extra_id_")):
                continue
            ids = ids_of(source, length)
            assert (ids if index < IN_CLEAR else digest(ids)) == wanted, ascii(source)
            compared += 1
    assert compared > 17_000


def test_ftfys_examples_are_what_it_makes_of_them() -> None:
    examples = json.loads((FIXTURES / "ftfy-cases.json").read_text(encoding="utf-8"))
    assert [case["text"] for case in examples if ftfy.fix_text(case["text"]) != case["fixed"]] == []


@pytest.mark.parametrize("folder", sorted((FIXTURES / "models").iterdir()), ids=lambda folder: folder.name)
def test_the_models_strings_are_those_of_the_seed(folder: Path) -> None:
    assert [text for text, _ in json.loads((folder / "cases.json").read_text())] == model_strings(5, 250)


def test_the_model_like_umt5_gives_sentencepieces_ids() -> None:
    folder = FIXTURES / "models/like-umt5"
    model = SentencePieceProcessor(model_file=str(folder / "spiece.model"))
    for text, ids in json.loads((folder / "cases.json").read_text()):
        if not any(token in text for token in ("</s>", "<pad>", "<unk>", "<s>", "<extra_id_")):
            assert ids == [*model.encode(text)[:63], EOS_ID], ascii(text)
