"""Writes src/fixtures/zoo.json: small models of every type, and 40 tokenizers made of them that between them use every step.

    python zoo.py ../src/fixtures

Training breaks ties by hash order, so a model that is there is kept: the records of differential.py rest on it.
"""
import base64
import json
import struct
import sys
from pathlib import Path

from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

SPECIAL = ["<unk>", "<s>", "</s>", "<pad>", "<mask>"]


def lines_of(folder):
    lines = (folder / "corpus.txt").read_text().split("\n")
    # Letters with marks, other scripts and case, which the corpus has little of.
    return lines + ["déjà vu naïve café ÀÉÎ Ångström", "привет мир Москва", "東京 は 日本 の 首都 です", "한국어 텍스트", "ΑΣ σας λόγος", "x1 22 333 4/5", "don't we'll I'm"] * 3


def train(model, trainer, lines, pre=None, normalizer=None):
    t = Tokenizer(model)
    if pre:
        t.pre_tokenizer = pre
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(lines, trainer)
    return json.loads(t.to_str())["model"]


def make_models(lines):
    quiet = {"show_progress": False, "special_tokens": SPECIAL}
    words = pre_tokenizers.Whitespace()
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False)
    out = {
        "bpe-bytes": train(models.BPE(), trainers.BpeTrainer(vocab_size=420, **quiet), lines, byte_level),
        "bpe-unk": train(models.BPE(unk_token="<unk>"), trainers.BpeTrainer(vocab_size=330, limit_alphabet=60, **quiet), lines, words),
        "bpe-suffix": train(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"), trainers.BpeTrainer(vocab_size=330, limit_alphabet=60, end_of_word_suffix="</w>", **quiet), lines, words),
        "bpe-prefix": train(models.BPE(unk_token="<unk>", continuing_subword_prefix="##"), trainers.BpeTrainer(vocab_size=330, limit_alphabet=60, continuing_subword_prefix="##", **quiet), lines, words),
        "word-piece": train(models.WordPiece(unk_token="<unk>"), trainers.WordPieceTrainer(vocab_size=400, **quiet), lines, pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer()),
        "word-level": train(models.WordLevel(unk_token="<unk>"), trainers.WordLevelTrainer(vocab_size=260, **quiet), lines, words),
        "unigram": train(models.Unigram(), trainers.UnigramTrainer(vocab_size=380, unk_token="<unk>", **quiet), lines, pre_tokenizers.Metaspace()),
    }
    out["unigram"]["vocab"] = [[token, round(score, 4)] for token, score in out["unigram"]["vocab"]]
    # Bytes by their names, but not all of them: 0xE7 is missing.
    pieces = [[f"<0x{b:02X}>", -20.0] for b in range(256) if b != 0xE7]
    out["unigram-bytes"] = {**out["unigram"], "byte_fallback": True, "vocab": out["unigram"]["vocab"] + pieces}
    vocab = dict(out["bpe-unk"]["vocab"])
    for b in range(256):
        if b != 0xE7:
            vocab[f"<0x{b:02X}>"] = len(vocab)
    out["bpe-fallback"] = {**out["bpe-unk"], "vocab": vocab, "byte_fallback": True}
    return out


# Keys of a charsmap: single characters, a grapheme of two, a key that begins another, one replaced by nothing, and longer.
RULES = {
    "\u00a0": " ", "\u3000": " ", "\t": " ", "\u200b": "", "ﬁ": "fi", "½": "1/2", "①": "1", "Ａ": "A", "ｶ": "カ", "ｶ\u3099": "ガ",
    "e\u0301": "é", "a\u0308": "ä", "ü": "ue", "ß": "ss", "…": "...", "№": "No", "😀": ":)", "\r\n": "\n", "가": "ga", "\u0301": "'",
}


def charsmap(rules):
    """A SentencePiece charsmap: a double-array trie over the bytes of the keys, and the replacements."""
    text, offsets = b"", {}
    for value in rules.values():
        if value not in offsets:
            offsets[value] = len(text)
            text += value.encode() + b"\0"
    trie = {}
    for key, value in rules.items():
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = offsets[value]
    units, used = {0: 0}, {0}

    def place(node, at):
        base = next(b for b in range(1, 1 << 20) if all((b ^ at ^ byte) not in used for byte in node))
        children = {byte: base ^ at ^ byte for byte in node}
        used.update(children.values())
        offset = base
        assert offset < 1 << 21
        units[at] = units.get(at, 0) | offset << 10 | (1 << 8 if 0 in node else 0)
        for byte, child in children.items():
            if byte == 0:
                units[child] = 1 << 31 | node[0]
            else:
                units[child] = byte
                place(node[byte], child)

    place(trie, 0)
    array = [units.get(i, 0x000000FF << 0) for i in range(max(units) + 257)]
    return base64.b64encode(struct.pack("<I", len(array) * 4) + b"".join(struct.pack("<I", u) for u in array) + text).decode()


def token(content, **flags):
    return {"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True, **flags}


NORMAL = {"special": False, "normalized": True}
SPECIALS = [token(t) for t in SPECIAL]
FLAGS = SPECIALS[:4] + [
    token("<mask>", lstrip=True),
    token("cat", single_word=True, **NORMAL),
    token(" lead", rstrip=True, special=False),
    token("[A]", lstrip=True, rstrip=True),
    token("Ünder", **NORMAL),
    token("river", lstrip=True, **NORMAL),
    token("riverbank", rstrip=True, single_word=True, **NORMAL),
    token("ø", single_word=True, special=False),
    token("  ", **NORMAL),
]
ADDED = {"specials": SPECIALS, "flags": FLAGS}
BERT = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": True}
CASED = {**BERT, "lowercase": False}
ACCENTS = {"type": "BertNormalizer", "clean_text": False, "handle_chinese_chars": False, "strip_accents": True, "lowercase": False}
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
CLS = {"sep": ["</s>", 2], "cls": ["<s>", 1]}
TEMPLATE = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "ends", "type_id": 0}}],
    "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
    "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}, "ends": {"id": "ends", "ids": [2, 3], "tokens": ["</s>", "<pad>"]}},
}


def sequence(key, *steps):
    return {"type": "Sequence", key: list(steps)}


def norms(*steps):
    return sequence("normalizers", *steps)


def pres(*steps):
    return sequence("pretokenizers", *steps)


def decs(*steps):
    return sequence("decoders", *steps)


def procs(*steps):
    return sequence("processors", *steps)


def replace(pattern, content, kind="String"):
    return {"type": "Replace", "pattern": {kind: pattern}, "content": content}


def split(pattern, behavior, kind="Regex", invert=False):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def metaspace(scheme="always", cut=True, replacement="▁"):
    return {"type": "Metaspace", "replacement": replacement, "prepend_scheme": scheme, "split": cut}


def strip(left, right):
    return {"type": "Strip", "strip_left": left, "strip_right": right}


def punctuation(behavior):
    return {"type": "Punctuation", "behavior": behavior}


def digits(single):
    return {"type": "Digits", "individual_digits": single}


def only(name):
    return {"type": name}


WORDPIECE = {"type": "WordPiece", "prefix": "##", "cleanup": True}


def make_tokenizers():
    rows = []

    def add(name, model, normalizer=None, pre=None, post=None, decoder=None, added=SPECIALS, **more):
        rows.append({"name": name, "model": model, "added": "flags" if added is FLAGS else "specials", "normalizer": normalizer, "pre_tokenizer": pre, "post_processor": post, "decoder": decoder, **more})

    trim = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}
    add("bert", "word-piece", BERT, only("BertPreTokenizer"), {"type": "BertProcessing", **CLS}, WORDPIECE)
    add("bert-cased-flags", "word-piece", CASED, only("BertPreTokenizer"), TEMPLATE, {**WORDPIECE, "cleanup": False}, FLAGS)
    add("bert-accents", "word-piece", norms(ACCENTS, only("Lowercase")), only("Whitespace"), None, WORDPIECE, FLAGS)
    add("word-piece-short-words", "word-piece", only("Lowercase"), pres(only("WhitespaceSplit"), punctuation("Isolated")), None, WORDPIECE, settings={"max_input_chars_per_word": 6})
    add("word-piece-metaspace", "word-piece", norms(only("NFKD"), only("StripAccents")), pres(metaspace("first"), digits(True)), TEMPLATE, decs(replace("##", "")), FLAGS)
    add("word-level", "word-level", None, only("Whitespace"), None, None, FLAGS)
    add("word-level-digits", "word-level", only("NFC"), pres(only("Whitespace"), digits(False)), TEMPLATE)
    add("word-level-no-unknown", "word-level", norms(only("Nmt"), strip(True, True)), pres(only("Whitespace"), punctuation("Removed")), settings={"unk_token": "<nothing>"})
    add("word-level-ctc", "word-level", None, split("", "Isolated", "String"), None, {"type": "CTC", "pad_token": "<pad>", "word_delimiter_token": "|", "cleanup": True}, FLAGS)
    add("unigram", "unigram", None, metaspace(), TEMPLATE, metaspace())
    add("unigram-charsmap", "unigram", {"type": "Precompiled", "precompiled_charsmap": charsmap(RULES)}, metaspace("first"), TEMPLATE, metaspace("first"), FLAGS)
    add("unigram-charsmap-sequence", "unigram", norms({"type": "Precompiled", "precompiled_charsmap": charsmap(RULES)}, strip(False, True), replace(" {2,}", "▁", "Regex")), pres(only("WhitespaceSplit"), metaspace()), None, metaspace())
    add("unigram-bytes", "unigram-bytes", norms(only("Nmt"), only("NFKC"), replace(" {2,}", " ", "Regex")), metaspace("never"), TEMPLATE, decs(only("ByteFallback"), only("Fuse"), metaspace("never")), FLAGS)
    add("unigram-scripts", "unigram", only("NFKC"), pres(only("UnicodeScripts"), metaspace("always", False)), None, metaspace())
    add("unigram-whole", "unigram-bytes", norms(replace(" ", "▁"), only("Lowercase")), None, trim, decs(replace("▁", " "), only("ByteFallback"), only("Fuse"), {"type": "Strip", "content": " ", "start": 1, "stop": 0}), FLAGS)
    add("bpe-bytes-missing", "bpe-bytes", None, BYTES, trim, only("ByteLevel") | {"add_prefix_space": True, "trim_offsets": True, "use_regex": True}, FLAGS)
    add("bpe-bytes-unknown", "bpe-bytes", only("NFC"), {**BYTES, "add_prefix_space": True}, {"type": "RobertaProcessing", **CLS, "trim_offsets": True, "add_prefix_space": True}, BYTES, FLAGS, settings={"unk_token": "<unk>"})
    add("bpe-bytes-fused", "bpe-bytes", only("NFKC"), pres(digits(True), BYTES), {"type": "RobertaProcessing", **CLS, "trim_offsets": False, "add_prefix_space": False}, BYTES, settings={"unk_token": "<unk>", "fuse_unk": True})
    add("bpe-bytes-normalizer", "bpe-bytes", norms(only("NFD"), only("ByteLevel")), None, None, BYTES, FLAGS)
    add("bpe-bytes-split", "bpe-bytes", None, pres(split(r"\p{N}{1,3}|\s+(?!\S)|[^\r\n\p{L}\p{N}]?+\p{L}+", "Isolated"), {**BYTES, "use_regex": False}), procs(trim, TEMPLATE), BYTES, FLAGS)
    add("bpe-bytes-lookahead", "bpe-bytes", None, pres(split(r"(?=[A-Z])|(?<=\d)(?=\D)", "Isolated"), {**BYTES, "use_regex": False}), procs(TEMPLATE, trim), BYTES)
    add("bpe-bytes-whole", "bpe-bytes", only("NFC"), {**BYTES, "use_regex": False}, None, BYTES, FLAGS, settings={"ignore_merges": True})
    add("bpe-unknown", "bpe-unk", None, only("Whitespace"), None, only("Fuse"), FLAGS)
    add("bpe-fused", "bpe-unk", only("Lowercase"), None, None, None, FLAGS, settings={"fuse_unk": True})
    add("bpe-dropped", "bpe-unk", only("NFD"), only("WhitespaceSplit"), None, None, SPECIALS, settings={"unk_token": None})
    add("bpe-suffix", "bpe-suffix", only("Lowercase"), pres(only("WhitespaceSplit"), punctuation("MergedWithPrevious")), None, {"type": "BPEDecoder", "suffix": "</w>"}, FLAGS)
    add("bpe-prefix", "bpe-prefix", None, pres(only("Whitespace"), punctuation("Contiguous")), None, WORDPIECE, FLAGS)
    add("bpe-fallback", "bpe-fallback", norms({"type": "Prepend", "prepend": "▁"}, replace(" ", "▁")), None, TEMPLATE, decs(replace("▁", " "), only("ByteFallback"), only("Fuse"), {"type": "Strip", "content": " ", "start": 1, "stop": 0}), FLAGS)
    add("bpe-fallback-fused", "bpe-fallback", norms(only("Lowercase"), replace(r"[^\w\s]+", "<>", "Regex")), metaspace("always", True, "_"), None, metaspace("always", True, "_"), FLAGS, settings={"fuse_unk": True})
    add("split-removed", "bpe-unk", None, split(r"\s+", "Removed"), None, None, FLAGS)
    add("split-previous", "bpe-unk", None, split("e", "MergedWithPrevious", "String"))
    add("split-next", "bpe-unk", None, split(r"[aeiou]", "MergedWithNext"), trim)
    add("split-contiguous", "bpe-unk", None, split(r"\d", "Contiguous"))
    add("split-inverted", "bpe-unk", norms(strip(True, False), only("NFKD")), split(r"\w+", "Removed", invert=True), TEMPLATE)
    add("punctuation-next", "bpe-unk", only("StripAccents"), punctuation("MergedWithNext"))
    add("delimiter", "bpe-unk", replace("[^a-z]", "", "Regex"), pres({"type": "CharDelimiterSplit", "delimiter": "e"}, {"type": "FixedLength", "length": 3}), None, decs(only("Fuse"), replace("a+", "A", "Regex")))
    add("fixed-length", "word-piece", norms(only("Lowercase"), only("NFC")), pres({"type": "FixedLength", "length": 4}, only("BertPreTokenizer")), {"type": "BertProcessing", **CLS}, WORDPIECE, FLAGS)
    add("truncation", "word-piece", BERT, only("BertPreTokenizer"), {"type": "BertProcessing", **CLS}, WORDPIECE, truncation={"direction": "Left", "max_length": 9, "strategy": "LongestFirst", "stride": 2}, padding={"strategy": {"Fixed": 7}, "direction": "Left", "pad_to_multiple_of": 4, "pad_id": 3, "pad_type_id": 0, "pad_token": "<pad>"})
    add("truncation-right", "bpe-bytes", None, {**BYTES, "add_prefix_space": True}, {"type": "RobertaProcessing", **CLS, "trim_offsets": True, "add_prefix_space": True}, BYTES, FLAGS, truncation={"direction": "Right", "max_length": 12, "strategy": "OnlyFirst", "stride": 0}, padding={"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": 8, "pad_id": 3, "pad_type_id": 0, "pad_token": "<pad>"})
    add("punctuation-previous", "word-level", norms(only("Lowercase"), replace("", "-")), pres(only("Whitespace"), punctuation("MergedWithPrevious"), split("-", "MergedWithNext", "String")), procs({"type": "BertProcessing", **CLS}, {"type": "RobertaProcessing", **CLS, "trim_offsets": True, "add_prefix_space": False}), decs(only("Fuse"), replace("", ".")))
    return rows


def tokenizer_json(row, all_models):
    """The whole tokenizer.json of a row: what zoo.test.ts puts together in the same way."""
    model = {**all_models[row["model"]], **row.get("settings", {})}
    vocab = model["vocab"]
    ids = {t: i for i, (t, _) in enumerate(vocab)} if isinstance(vocab, list) else vocab
    size, added = len(ids), []
    for t in ADDED[row["added"]]:
        id_ = ids.get(t["content"], size)
        size += id_ == size
        added.append({"id": id_, **t})
    keys = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
    return {"version": "1.0", "truncation": row.get("truncation"), "padding": row.get("padding"), "added_tokens": added, **{k: row[k] for k in keys}, "model": model}


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    file = folder / "zoo.json"
    known = json.loads(file.read_text())["models"] if file.exists() else make_models(lines_of(folder))
    rows = make_tokenizers()
    assert len(rows) == 40, len(rows)
    lines = ['{"about": "Written by scripts/zoo.py.", "models": {'] + [",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in known.items())]
    lines += ['}, "added": {'] + [",\n".join(f"{json.dumps(k)}: {json.dumps(v, ensure_ascii=False)}" for k, v in ADDED.items())]
    lines += ['}, "tokenizers": ['] + [",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)] + ["]}"]
    file.write_text("\n".join(lines) + "\n")
