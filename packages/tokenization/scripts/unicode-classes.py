"""Writes the tables that say how Rust `tokenizers` classes each code point: src/engine/unicode/*.data.ts.

    python unicode-classes.py ../src/engine/unicode

Node's own \\p{L}, toLowerCase and normalize follow its ICU and move with every release, so they are recorded once from the
original, by asking it about every code point. The original itself is of several minds: Oniguruma, the regex crate, the
standard library and three Unicode crates each bring their own version of Unicode.
A table lists runs of code points from U+0000 on: pairs of length and value, in base 36.
"""
import struct
import sys
import unicodedata
from pathlib import Path

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
EVERYTHING = "".join(map(chr, POINTS))


def base36(n):
    if n < 0:
        return "-" + base36(-n)
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return base36(n // 36) + digits[n % 36] if n >= 36 else digits[n]


def runs(values):
    """`values`: code point to number, 0 where there is none."""
    parts, length, current = [], 0, None
    for c in range(0x110000):
        value = values.get(c, 0)
        if value == current:
            length += 1
            continue
        if length:
            parts += [base36(length), base36(current)]
        length, current = 1, value
    if current:
        parts += [base36(length), base36(current)]
    return " ".join(parts)


def write(folder, name, about, tables):
    lines = [f"// Written by scripts/unicode-classes.py from Rust tokenizers {tokenizers.__version__}; do not edit.", f"// {about}"]
    for key, value in tables.items():
        text = ", ".join(f"'{v}'" for v in value) if isinstance(value, list) else None
        lines += [f"export const {key} = [{text}]"] if text else [f"export const {key} =", f"  '{value}'"]
    (folder / f"{name}.data.ts").write_text("\n".join(lines) + "\n")


def members(regex):
    """The code points an Oniguruma class holds."""
    position, out = 0, []
    for _, (start, end) in pre_tokenizers.Split(Regex(regex), "removed").pre_tokenize_str(EVERYTHING):
        out += POINTS[position:start]
        position = end
    return out + POINTS[position:]


CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn".split()
SCRIPTS = "Latin Greek Cyrillic Armenian Hebrew Arabic Syriac Thaana Devanagari Bengali Gurmukhi Gujarati Oriya Tamil Telugu Kannada Malayalam Sinhala Thai Lao Tibetan Myanmar Georgian Hangul Ethiopic Cherokee Khmer Mongolian Hiragana Katakana Bopomofo Han Yi Common Inherited".split()


def oniguruma(folder):
    category, script = {}, {}
    for i, name in enumerate(CATEGORIES):
        if name != "Cs":
            category.update(dict.fromkeys(members(rf"\p{{{name}}}"), i + 1))
    for i, name in enumerate(SCRIPTS):
        script.update(dict.fromkeys(members(rf"\p{{{name}}}"), i + 1))
    spaces, words, alphabetic = (dict.fromkeys(members(r), 1) for r in (r"\s", r"\w", r"\p{Alpha}"))
    write(
        folder,
        "oniguruma",
        "What Oniguruma, which runs the regular expressions of a tokenizer.json, takes each code point for.",
        {
            "CATEGORY_NAMES": CATEGORIES,
            "CATEGORIES": runs(category),
            "SCRIPT_NAMES": SCRIPTS,
            "SCRIPTS": runs(script),
            "SPACES": runs(spaces),
            "WORDS": runs(words),
            "ALPHABETIC": runs(alphabetic),
            # `\\w` holds a few digits and fractions of Latin-1 that it does not hold in brackets.
            "WORDS_OUTSIDE_BRACKETS": runs(dict.fromkeys(set(words) - set(members(r"[\w]")), 1)),
        },
    )


def classes(folder):
    """\\w of the regex crate, numbers of the standard library, what the BERT steps and StripAccents look for."""
    word, number, punctuation = pre_tokenizers.Whitespace(), pre_tokenizers.Digits(False), pre_tokenizers.Punctuation()
    clean = normalizers.BertNormalizer(clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    plain = normalizers.BertNormalizer(clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False)
    nfd, accents = normalizers.NFD(), normalizers.StripAccents()
    out = {}
    for c in POINTS:
        s = chr(c)
        mask = 1 if len(word.pre_tokenize_str("a" + s)) == 1 and word.pre_tokenize_str("a" + s)[0][0] != "a" else 0
        mask |= 2 if len(number.pre_tokenize_str("a" + s)) == 2 else 0
        mask |= 4 if len(punctuation.pre_tokenize_str("a" + s)) == 2 else 0
        mask |= 8 if clean.normalize_str(s) == "" else 0
        if nfd.normalize_str(s) == s:
            mask |= 16 if plain.normalize_str(s) == "" else 0
        mask |= 32 if accents.normalize_str(s) == "" else 0
        if mask:
            out[c] = mask
    write(
        folder,
        "classes",
        "Bits: 1 word of the regex crate, 2 number of the standard library, 4 BERT's punctuation, 8 removed by BERT's clean-up, 16 its accents, 32 StripAccents'.",
        {"CLASSES": runs(out)},
    )


def normal_forms(folder):
    """Which code points decompose, and the combining classes (from Python's own table, for those the original has)."""
    nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
    changes, combining = {}, {}
    for c in POINTS:
        s = chr(c)
        mask = (1 if nfd.normalize_str(s) != s else 0) | (2 if nfkd.normalize_str(s) != s else 0)
        if mask:
            changes[c] = mask
        # U+0345 has the highest class of all: whatever has a class is sorted before it.
        if c == 0x345 or nfd.normalize_str("\u0345" + s)[-1] == "\u0345" and nfd.normalize_str(s) == s and unicodedata.combining(s):
            combining[c] = unicodedata.combining(s)
            assert combining[c] > 0
        elif nfd.normalize_str(s) == s:
            assert nfd.normalize_str("\u0345" + s) == "\u0345" + s, hex(c)
    write(
        folder,
        "normal-forms",
        "DECOMPOSING: 1 canonically, 2 by compatibility. COMBINING: the canonical combining class.",
        {"DECOMPOSING": runs(changes), "COMBINING": runs(combining)},
    )


def lowercase(folder):
    lower, deltas, others = normalizers.Lowercase(), {}, {}
    for c in POINTS:
        after = lower.normalize_str(chr(c))
        if len(after) > 1:
            others[c] = after
        elif after != chr(c):
            deltas[c] = ord(after) - c
    assert list(others) == [0x130] and others[0x130] == "i\u0307"
    write(
        folder,
        "lowercase",
        "The distance from a letter to its lower case; U+0130, which becomes two, is not among them.",
        {"LOWERCASE": runs(deltas)},
    )


def scripts(folder):
    """The scripts of the UnicodeScripts pre-tokenizer: 0 for those that never divide, otherwise a number of our own."""
    step = pre_tokenizers.UnicodeScripts()
    splits = lambda a, b: len(step.pre_tokenize_str(a + b)) == 2
    representatives, out, previous = [], {}, None
    for c in POINTS:
        s = chr(c)
        # A letter of one script, then this: only what belongs to no script follows both without a cut.
        if not splits("a", s) and not splits("\u03b1", s):
            continue
        if previous is not None and previous in out and not splits(chr(previous), s):
            out[c] = out[previous]
        else:
            found = next((i for i, r in enumerate(representatives) if not splits(r, s)), None)
            if found is None:
                representatives.append(s)
                found = len(representatives) - 1
            out[c] = found + 1
        previous = c
    write(folder, "scripts", "Numbers of our own for the scripts of the UnicodeScripts pre-tokenizer; 0 never divides.", {"SCRIPT_RUNS": runs(out)})


def every_byte():
    """A charsmap in which any first byte of a text makes the whole of it `y`: the length of the outcome counts graphemes."""
    unit = lambda offset, label, leaf: offset << 10 | leaf << 8 | label
    units = [0] * 512
    units[0] = unit(256, 0, 0)
    for byte in range(1, 256):
        units[256 ^ byte] = unit((256 ^ byte) ^ 1, byte, 1)
    units[1] = 1 << 31
    return struct.pack("<I", len(units) * 4) + b"".join(struct.pack("<I", u) for u in units) + b"y\0"


def graphemes(folder):
    """Where the Precompiled normalizer sees one grapheme. It asks about graphemes of up to five bytes, so only what can change those is looked for."""
    step = normalizers.Precompiled(every_byte())
    count = lambda s: len(step.normalize_str(s))
    ACUTE, ZWJ, COPY, KA, VIRAMA = "\u0300", "\u200d", "\u00a9", "\u0915", "\u094d"
    out = {}
    for c in POINTS:
        if c == 0:
            continue
        s, size = chr(c), len(chr(c).encode())
        mask = 0
        extends = count("a" + s) == 1
        if extends:
            mask |= 1
            mask |= 2 if count(COPY + s + ZWJ + COPY + ACUTE) == 5 else 0
            mask |= 4 if count(KA + VIRAMA + s + KA + ACUTE) == 5 else 0
            mask |= 8 if count(KA + s + KA + ACUTE) == 4 else 0
        else:
            mask |= 16 if size <= 4 and count(s + "a") == 1 else 0
            mask |= 32 if size <= 3 and count(s + ACUTE) != 1 else 0
            joined = 3 if size < 3 else 4
            mask |= 64 if count(s + ZWJ + COPY + ACUTE) == 4 else 0
            mask |= 128 if size >= 3 and count(s + VIRAMA + KA + ACUTE) == 4 else 0
            if size == 3:
                before_v, before_t = count(s + "\u1161" + ACUTE) == 3, count(s + "\u11a8" + ACUTE) == 3
                after_l, after_v, after_t = (count(x + s + ACUTE) == 3 for x in ("\u1100", "\u1161", "\u11a8"))
                if before_v or before_t:
                    # L, V, T, LV and LVT in bits 256 to 4096
                    kind = (256 if not before_t else (512 if after_v else 2048) if before_v else (1024 if after_v else 4096))
                    mask |= kind
        if mask:
            out[c] = mask
    write(
        folder,
        "graphemes",
        "Bits: 1 extends what is before it, 2 is Extend, 4 InCB=Extend, 8 InCB=Linker, 16 Prepend, 32 Control, 64 pictographic, 128 InCB=Consonant, 256 L, 512 V, 1024 T, 2048 LV, 4096 LVT.",
        {"GRAPHEMES": runs(out)},
    )


target = Path(sys.argv[1])
target.mkdir(exist_ok=True)
for record in (oniguruma, classes, normal_forms, lowercase, scripts, graphemes):
    record(target)
    print(record.__name__)
