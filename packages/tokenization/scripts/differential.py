"""Trains the two fixture tokenizers (when they are not there) and records what Rust `tokenizers` does with 20,000 random strings.

    python differential.py ../src/fixtures [folder of other tokenizers]

For each variant (fixtures/variants.json), each tokenizer of zoo.py and each other one the record holds a SHA-256 over ids,
offsets and decoded text of the first strings, of the next, and so on (see ENDS); a string that Rust fails on counts as null.
The strings come from two small generators written the same way here and in src/testing/random-text.ts.
"""
import hashlib
import json
import sys
from pathlib import Path

import tokenizers
import zoo
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

# Where each digest ends. The tests of every day read the first two, `TUNESMITH_ALL=1 npx vitest run differential` all.
ENDS = [200, 1000, 5000, 20_000]
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
SPECIAL = ["<unk>", "<s>", "</s>", "<|start|>", "<|end|>"]


def train_bytes(lines):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=900, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
        ),
    )
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


def train_chars(lines):
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    # No pre-tokenizer: merges may run across words, the harder case for cutting a text into pieces.
    t.train_from_iterator(
        lines,
        trainers.BpeTrainer(
            vocab_size=1100,
            special_tokens=SPECIAL + [f"<0x{b:02X}>" for b in range(256)],
            limit_alphabet=110,
            max_token_length=9,
            show_progress=False,
        ),
    )
    data = json.loads(t.to_str())
    data["added_tokens"] = data["added_tokens"][: len(SPECIAL)]
    t = Tokenizer.from_str(json.dumps(data))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)])
    return t


class Random:
    """mulberry32, as in random-text.ts."""

    def __init__(self, seed):
        self.state = seed & 0xFFFFFFFF

    def below(self, n):
        self.state = (self.state + 0x6D2B79F5) & 0xFFFFFFFF
        t = self.state
        t = ((t ^ (t >> 15)) * (t | 1)) & 0xFFFFFFFF
        t ^= (t + (((t ^ (t >> 7)) * (t | 61)) & 0xFFFFFFFF)) & 0xFFFFFFFF
        return ((t ^ (t >> 14)) & 0xFFFFFFFF) % n


def random_text(index, words):
    r = Random(index * 7919 + 17)
    out = []
    for _ in range(1 + r.below(12)):
        kind = r.below(12)
        if kind <= 3:
            out.append(words[r.below(len(words))])
        elif kind == 4:
            out.append(" " * (1 + r.below(4)))
        elif kind == 5:
            out.append(["\n", "\r\n", "\t", " \n", "\u00a0", "\u3000", "\u0085", "\u2028", "\ufeff", "  \n\n "][r.below(10)])
        elif kind == 6:
            out.append(str(r.below(10 ** (1 + r.below(6)))))
        elif kind == 7:
            out.append("".join(chr(0x21 + r.below(94)) for _ in range(1 + r.below(6))))
        elif kind == 8:
            low, size = [(0xA1, 0x500), (0x900, 0x800), (0x3040, 0x180), (0x4E00, 0x5000), (0xAC00, 0x2BA0), (0x300, 0x70)][r.below(6)]
            out.append("".join(chr(low + r.below(size)) for _ in range(1 + r.below(6))))
        elif kind == 9:
            out.append("".join(chr(0x1F300 + r.below(0x700)) + ["", "\u200d", "\ufe0f"][r.below(3)] for _ in range(1 + r.below(3))))
        elif kind == 10:
            out.append("".join(chr(c if c < 0xD800 else c + 0x800) for c in [r.below(0x2F000) for _ in range(1 + r.below(4))]))
        else:
            out.append(["'s", "'LL", "\u2019t", "'\u017f", "e\u0301", "\ufb05", "<0x41>", "▁", "<|end|> ", " <|start|>", "</s>", "riverbank"][r.below(12)])
    return "".join(out)


BREAKS = ["\n", "\r\n", "\t", " \n", "\u00a0", "\u3000", "\u0085", "\u2028", "\ufeff", "  \n\n "]
BLOCKS = [(0xA1, 0x500), (0x900, 0x800), (0x3040, 0x180), (0x4E00, 0x5000), (0xAC00, 0x2BA0), (0x300, 0x70)]
MARKS = ["\u0301", "\u0308", "\u0327", "\u0323", "\u0345", "\u094d", "\u200d", "\ufe0f", "\u3099", "\u0300"]
CONTROLS = ["\u0000", "\u0007", "\u000b", "\u001f", "\u007f", "\u00ad", "\u200b", "\u2060", "\ue000", "\ufffd"]
ADDED = ["cat", " lead", "[A]", "Ünder", "ünder", "river", "riverbank", "ø", "  ", "<mask>", "  <mask>  ", "</s>"]
THORNS = ["ΑΣ σας", "İI\u0307", "\u1100\u1161\u11a8", "각\u0301", "ﬁne", "½①", "Ａｶ\u3099", "\u0915\u094d\u0937", "©\u200d®\u0300", "\u0600a", "…№", "ǅ ß", "中文 字", "<0x41><0xE7>", "▁_a_▁", "do not n't 's ."]


def thorny_text(index, words):
    """As in random-text.ts."""
    r = Random(index * 6151 + 29)
    pick = lambda items: items[r.below(len(items))]
    out = []
    for _ in range(1 + r.below(10)):
        kind = r.below(12)
        if kind <= 1:
            out.append(pick(words))
        elif kind == 2:
            out.append(pick(words).upper())
        elif kind == 3:
            out.append(" " * (1 + r.below(3)))
        elif kind == 4:
            out.append(pick(BREAKS))
        elif kind == 5:
            out.append(pick(words)[:1] + pick(MARKS) + (pick(MARKS) if r.below(2) == 0 else ""))
        elif kind == 6:
            out.append(pick(CONTROLS))
        elif kind == 7:
            out.append(pick(ADDED))
        elif kind == 8:
            out.append(pick(THORNS))
        elif kind == 9:
            out.append(chr(0x20 + r.below(0x2E00)))
        elif kind == 10:
            low, size = BLOCKS[r.below(6)]
            for _ in range(1 + r.below(3)):
                out.append(chr(low + r.below(size)))
        else:
            number = str(r.below(2000))
            out.append(number + chr(0x21 + r.below(94)))
    return "".join(out)


def units(text, offsets):
    """Offsets in code points to offsets in UTF-16 units."""
    at, table = 0, []
    for c in text:
        table.append(at)
        at += 2 if ord(c) > 0xFFFF else 1
    table.append(at)
    return [[table[a], table[b]] for a, b in offsets]


def outcome(tokenizer, text, index, vocab):
    """What Rust makes of one text, or None where it fails."""
    try:
        e = tokenizer.encode(text)
    except BaseException as error:  # a panic is none of the usual exceptions
        if isinstance(error, KeyboardInterrupt):
            raise
        return None
    r = Random(index)
    ids = [r.below(vocab) for _ in range(1 + r.below(8))]
    parts = [e.ids, tokenizer.decode(e.ids, skip_special_tokens=False), tokenizer.decode(e.ids), ids, tokenizer.decode(ids, skip_special_tokens=False)]
    return [*parts, units(text, e.offsets)]


def digests(tokenizer, texts, vocab):
    out, start = [], 0
    for end in ENDS:
        h = hashlib.sha256()
        for i in range(start, end):
            h.update(json.dumps(outcome(tokenizer, texts[i], i, vocab), ensure_ascii=True, separators=(",", ":")).encode())
        out.append(h.hexdigest()[:16])
        start = end
    return out


def main(folder, others):
    lines = (folder / "corpus.txt").read_text().split("\n")
    words = sorted({w for line in lines for w in line.split(" ") if w})
    texts = [random_text(i, words) if i % 2 else thorny_text(i, words) for i in range(ENDS[-1])]
    record = {"made_with": f"tokenizers {tokenizers.__version__}", "ends": ENDS, "fixtures": {}, "zoo": {}, "shared": {}}
    # Training breaks ties by hash order, so a tokenizer that is there is kept: other records rest on it.
    for name, train in (("bytes", train_bytes), ("chars", train_chars)):
        file = folder / f"{name}.tokenizer.json"
        if not file.exists():
            data = json.loads(train(lines).to_str())
            file.write_text(json.dumps(data, ensure_ascii=False, separators=(",", ":")) + "\n")
    for variant in json.loads((folder / "variants.json").read_text())["variants"]:
        data = json.loads((folder / f"{variant['base']}.tokenizer.json").read_text())
        for key, value in variant["patch"].items():
            if key == "model":
                data["model"].update(value)
            elif key == "added_tokens":
                vocab = data["model"]["vocab"]
                kept = [t for t in data["added_tokens"] if t["content"] not in [v["content"] for v in value]]
                next_id = max(vocab.values()) + 1
                for token in value:
                    token = dict(token)
                    token["id"] = vocab.get(token["content"], next_id)
                    next_id += token["id"] == next_id
                    kept.append(token)
                data["added_tokens"] = sorted(kept, key=lambda t: t["id"])
            else:
                data[key] = value
        t = Tokenizer.from_str(json.dumps(data))
        record["fixtures"][variant["name"]] = digests(t, texts, t.get_vocab_size() + 3)
    animals = json.loads((folder / "zoo.json").read_text())
    for row in animals["tokenizers"]:
        t = Tokenizer.from_str(json.dumps(zoo.tokenizer_json(row, animals["models"])))
        record["zoo"][row["name"]] = digests(t, texts, t.get_vocab_size() + 3)
        print(row["name"])
    for other in others:
        for file in sorted(Path(other).glob("*/tokenizer.json")):
            t = Tokenizer.from_file(str(file))
            record["shared"][file.parent.name] = digests(t, texts, t.get_vocab_size() + 3)
    (folder / "differential.json").write_text(json.dumps(record, indent=1) + "\n")


main(Path(sys.argv[1]), sys.argv[2:])
