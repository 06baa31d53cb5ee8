"""From a prompt to the text encoder's inputs: the tokenizer file, and what farm.json says about ids, mask and cleaning."""

from dataclasses import dataclass
from pathlib import Path

from .checkpoint import sha256_file
from .config_checks import ConfigFile, Json
from .tokenizer import read_tokenizer
from .variant import TextPlan

TOKENIZER_FILE = "tokenizer.json"


@dataclass(frozen=True)
class SavedTokenizer:
    """A written tokenizer file and the ids that callers pad and end with."""

    pad_id: int
    eos_id: int
    sha256: str


def save_tokenizer(checkpoint: Path, text: TextPlan, root: Path) -> SavedTokenizer:
    """Write tokenizer.json; a tokenizer with more tokens than the encoder's embedding has rows is refused."""
    tokenizer = read_tokenizer(checkpoint / "tokenizer")
    if text.vocabulary < tokenizer.size:
        file = ConfigFile("text_encoder/config.json", {})
        raise file.refused(f"vocab_size = {text.vocabulary}, the tokenizer has {tokenizer.size} tokens")
    tokenizer.save(root / TOKENIZER_FILE)
    return SavedTokenizer(tokenizer.pad_id, tokenizer.eos_id, sha256_file(root / TOKENIZER_FILE))


def text_constants(text: TextPlan, tokenizer: SavedTokenizer) -> Json:
    """What the text stage must do before its engine."""
    return {
        "tokenizer_sha256": tokenizer.sha256,
        "max_tokens": text.max_tokens,
        "pad_id": tokenizer.pad_id,
        "eos_id": tokenizer.eos_id,
        "attention_mask": text.attention_mask,
        "cleaning": text.cleaning,
    }


def text_entry(text: TextPlan, tokenizer: SavedTokenizer) -> Json:
    """farm.json's `text`."""
    return {
        "max_tokens": text.max_tokens,
        "width": text.width,
        "pad_id": tokenizer.pad_id,
        "eos_id": tokenizer.eos_id,
        "cleaning": text.cleaning,
    }
