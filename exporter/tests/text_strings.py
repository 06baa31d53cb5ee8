"""Strings that are awkward for tokenizers and for ftfy, by seed: each is a few fragments of the kinds below.

`python exporter/tests/text_strings.py SEED COUNT` prints them as JSON, one a line.
"""

import html.entities
import json
import random
import sys
from collections.abc import Callable

Fragment = Callable[[random.Random], str]

_LATIN = (
    "a cat walks slowly across the bright kitchen while steam rises camera pans left in cinematic slow motion "
    "schön naïve façade café déjà voilà mañana São Łódź Žižkov Ångström Übergröße æther œuvre "
    "“quoted” ‘single’ «guillemets» em—dash en–dash ellipsis… 20 € £5 ¥100 25°C ½ ² © ® ™ § ¶ ¿qué? ¡hola! • naïveté’s"
)
_OTHERS = "привет мир борщ ёлка Ελλάδα καλημέρα שלום עולם مرحبا بالعالم 日本語 テキスト 中文字符 한국어 텍스트 ภาษาไทย हिन्दी Việt"
WORDS = f"{_LATIN} {_OTHERS}".split()
EMOJI = "😀😂🥰🐈🎈🌈🚀❤✨⚡☺✔⭐🦙🫠👍👩👨👧👦🧑💻🏳🏴🔥"
CODECS = ("latin-1", "cp1252", "cp1251", "cp1250", "cp1253", "cp1254", "cp1257", "iso-8859-2", "mac-roman", "cp437", "cp850")
SPACES = "\t\n\x0b\x0c\r\x1c\x1d\x1e\x1f \x85\xa0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000\ufeff\u200b\u180e"
TOKENS = (
    "</s>",
    "<pad>",
    "<unk>",
    "<s>",
    "<extra_id_0>",
    "<extra_id_3>",
    "<extra_id_33>",
    "<extra_id_99>",
    "<extra_id_100>",
    "<extra_id_",
)
ENTITIES = tuple(html.entities.html5)
SYLLABLES = tuple(chr(code) for code in (0xAC00, 0xAC01, 0xB098, 0xD55C, 0xD7A3))
# Letters, marks, digits and composites that came with Unicode 15 to 17.
_NEWER_CODES = (
    0x1E030,
    0x10EFD,
    0x10D40,
    0x10D69,
    0x113B8,
    0x113C5,
    0x16D63,
    0x16D67,
    0x1E5EE,
    0x1CCF0,
    0x11F50,
    0x1C89,
    0x897,
    0x1FAE8,
)
NEWER = "".join(map(chr, _NEWER_CODES))


def _many(rng: random.Random, characters: str, most: int) -> str:
    return "".join(rng.choice(characters) for _ in range(rng.randint(1, most)))


def _chars(rng: random.Random, first: int, last: int, most: int) -> str:
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, most)))


def words(rng: random.Random) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, 6)))


def emoji(rng: random.Random) -> str:
    one = rng.choice(EMOJI) + rng.choice(
        ["", "\ufe0f", "\u200d" + rng.choice(EMOJI), chr(rng.randint(0x1F3FB, 0x1F3FF)), "\u20e3"]
    )
    return one * rng.randint(1, 3)


def flags(rng: random.Random) -> str:
    tags = "".join(chr(0xE0000 + ord(c)) for c in "gbwls")
    return rng.choice([_chars(rng, 0x1F1E6, 0x1F1FF, 4), f"🏴{tags}\U000e007f"])


def joiners(rng: random.Random) -> str:
    return _many(rng, "ab\u200c\u200d\u2060\u034f\ufe0e\ufe0f\u00ad", 6)


def full_width(rng: random.Random) -> str:
    return _chars(rng, 0xFF00, 0xFFEF, 6)


def combining(rng: random.Random) -> str:
    base = rng.choice("aeonqÅαж가ا")
    return base + "".join(
        chr(rng.choice([rng.randint(0x300, 0x36F), 0x1DC4, 0x20D0, 0x5B4, 0x651, 0x3099])) for _ in range(rng.randint(1, 6))
    )


def hangul(rng: random.Random) -> str:
    return _many(rng, "".join(SYLLABLES), 2) + _chars(rng, 0x1100, 0x11FF, 4)


def right_to_left(rng: random.Random) -> str:
    return _many(rng, "אבגשלוםابتثسلام\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c\u06f1٣", 8)


def controls(rng: random.Random) -> str:
    return _many(rng, "".join(map(chr, [*range(32), *range(0x7F, 0xA0), 0x206A, 0xFFF9, 0xFFFC, 0xFFFD, 0xFFFE])), 3)


def spaces(rng: random.Random) -> str:
    return _many(rng, SPACES, 4)


def mojibake(rng: random.Random) -> str:
    """Real text whose UTF-8 was read in another encoding, once or twice."""
    text = rng.choice([words, words, emoji, right_to_left])(rng)
    for _ in range(rng.choice([1, 1, 1, 2])):
        codec = rng.choice(CODECS)
        data = text.encode("utf-8", "replace")
        text = data.decode(codec, rng.choice(["ignore", "replace"])) if rng.random() < 0.7 else _sloppy(data, codec)
    return _damaged(rng, text)


def _sloppy(data: bytes, codec: str) -> str:
    return "".join(bytes([byte]).decode(codec, "ignore") or chr(byte) for byte in data)


def _damaged(rng: random.Random, text: str) -> str:
    kind = rng.randint(0, 5)
    if kind == 0:
        return text.replace("\xa0", " ")
    if kind == 1:
        return "".join("?" if ord(c) > 0x7F and rng.random() < 0.1 else c for c in text)
    return text


def bytes_as_latin(rng: random.Random) -> str:
    """Sequences at the edge of UTF-8, CESU-8 and Java's null, as characters."""
    data = rng.choice(
        [
            b"\xc0\x80",
            b"\xc0",
            b"\xed\xa0\xbd\xed\xb2\xa9",
            b"\xed\xa0\xbd",
            b"\xe2\x80",
            b"\xf0\x9f\x90",
            b"\xc3\xa9",
            b"\xed\x95\x9c",
        ]
    )
    text = rng.choice(["", "Ã©", "â€œ"]) + _sloppy(data, rng.choice(["latin-1", "cp1252", "cp1250"]))
    return text + rng.choice(["", "", "\n", " ", "x"])


def suspicious(rng: random.Random) -> str:
    """Any characters that ftfy takes for clues."""
    return _many(rng, "ÂÃÎÐØÙàáâãåæñïðóŒœŸ€‚ƒ„…†‡ˆ‰Š‹Žšžº°²³µ¶·¹»¼½¾×√≈∂†ВГРСвЂΒΓΞΟβā│┐└╗║▓░ÔÇô\x80\x9d\xa0\xad ' az?,", 7)


def entity(rng: random.Random) -> str:
    name = rng.choice(ENTITIES).rstrip(";")
    code = rng.choice(
        [rng.randint(0, 0x2FF), rng.randint(0x2000, 0x20FF), rng.randint(0, 0x120000), 0xD83D, 0xFFFE, 0xFDD0, 128, 13, 59]
    )
    number = rng.choice([f"#{code}", f"#x{code:x}", f"#X{code:X}", f"#000{code}", "#", "#x", "#xzz"])
    body = rng.choice([name, name, number, name.upper(), name.lower(), name + "x", "amp", "lt", "AMP", "nosuchname", "", "é"])
    text = "&" + body + rng.choice([";", ";", "", " ", "=1"])
    return text.replace("&", "&amp;") if rng.random() < 0.2 else text


def special(rng: random.Random) -> str:
    return rng.choice(["", " ", "  ", "\u3000"]) + rng.choice(TOKENS) + rng.choice(["", " ", "\n"])


def underline(rng: random.Random) -> str:
    return _many(rng, "▁▁ a.", 4)


def typography(rng: random.Random) -> str:
    return _many(rng, "ﬀﬁﬂﬃﬄﬅﬆĲĳŉǄǅǆǇǈǉǊǋǌǱǲǳ“”„‟‘’‚‛ʼ\r\n\u2028\u2029", 5)


def terminal(rng: random.Random) -> str:
    return f"\x1b[{rng.choice(['', '0', '36;44', '٣', 'x'])}{rng.choice('mKz1')}text\x1b[0m"


def markup(rng: random.Random) -> str:
    return rng.choice(["<b>", "a < b", "<a href='?x=1&copy=2'>", "&lt;p&gt;", "<!--"])


def anything(rng: random.Random) -> str:
    first, last = rng.choice(
        [
            (0x20, 0x7E),
            (0xA0, 0x24F),
            (0x250, 0x1FFF),
            (0x2000, 0x33FF),
            (0xE000, 0xFFFF),
            (0x10000, 0x1FFFF),
            (0x20000, 0x10FFFF),
        ]
    )
    return _chars(rng, first, last, 6)


def newer(rng: random.Random) -> str:
    return rng.choice(["a", "é", ""]) + _many(rng, NEWER + "\u0301\u0323", 4)


def surrogates(rng: random.Random) -> str:
    """Without their other half: low before high."""
    return rng.choice([chr(rng.randint(0xDC00, 0xDFFF)) + "a", chr(rng.randint(0xD800, 0xDBFF)) + "b"])


def runs(rng: random.Random) -> str:
    return rng.choice(["a", " ", "é", "Ã©", "▁", "😀", "\u0301", "ᄒ", "&amp;", "\u200d", "日", "€"]) * rng.randint(5, 60)


KINDS: tuple[Fragment, ...] = (
    *(
        words,
        words,
        emoji,
        flags,
        joiners,
        full_width,
        combining,
        hangul,
        right_to_left,
        controls,
        spaces,
        mojibake,
        mojibake,
        mojibake,
    ),
    *(bytes_as_latin, suspicious, suspicious, entity, entity, special, underline, typography, terminal, markup, anything, newer),
    *(surrogates, runs),
)


def strings(seed: int, count: int) -> list[str]:
    """`count` different strings; the same ones for the same seed."""
    rng = random.Random(seed)
    found: dict[str, None] = {}
    while len(found) < count:
        found[_string(rng)] = None
    return list(found)


def _string(rng: random.Random) -> str:
    glue = rng.choice(["", " ", " ", "\n"])
    text = glue.join(rng.choice(KINDS)(rng) for _ in range(60 if rng.random() < 0.01 else rng.choice([1, 1, 2, 2, 3, 4])))
    # What would be a pair in UTF-16 is a character: JavaScript cannot tell them apart.
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


if __name__ == "__main__":
    for string in strings(int(sys.argv[1]), int(sys.argv[2])):
        print(json.dumps(string))
