"""Prints src/engine/unicode-classes.data.ts: which code points Rust `tokenizers` takes for `\\s` and each `\\p{...}` used here.

Node's own \\p{L} follows its ICU and moves with every release, so the classes are recorded once from the original.
    python unicode-classes.py > ../src/engine/unicode-classes.data.ts
"""
import tokenizers
from tokenizers import Regex, pre_tokenizers

points = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
everything = "".join(map(chr, points))


def members(regex):
    position, out = 0, []
    for _, (start, end) in pre_tokenizers.Split(Regex(regex), "removed").pre_tokenize_str(everything):
        out += points[position:start]
        position = end
    return out + points[position:]


def base36(n):
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    return base36(n // 36) + digits[n % 36] if n >= 36 else digits[n]


def encode(regex):
    ranges = []
    for c in members(regex):
        if ranges and ranges[-1][1] == c - 1:
            ranges[-1][1] = c
        else:
            ranges.append([c, c])
    at, parts = 0, []
    for first, last in ranges:
        parts += [base36(first - at), base36(last - first)]
        at = last
    return " ".join(parts)


print(f"// Written by scripts/unicode-classes.py from Rust tokenizers {tokenizers.__version__}; do not edit.")
print("// Ranges of code points: distance from the end of the range before, then length - 1, in base 36.")
CLASSES = {
    "LETTERS": r"\p{L}",
    "NUMBERS": r"\p{N}",
    "SPACES": r"\s",
    "MARKS": r"\p{M}",
    "PUNCTUATION": r"\p{P}",
    "SYMBOLS": r"\p{S}",
    "UPPERCASE": r"\p{Lu}",
    "LOWERCASE": r"\p{Ll}",
    "TITLECASE": r"\p{Lt}",
    "MODIFIERS": r"\p{Lm}",
    "OTHER_LETTERS": r"\p{Lo}",
    "DIGITS": r"\p{Nd}",
}
for name, regex in CLASSES.items():
    print(f"export const {name} =")
    print(f"  '{encode(regex)}'")
