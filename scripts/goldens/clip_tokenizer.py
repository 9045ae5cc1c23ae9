"""CLIP tokenizers with a small vocabulary in every form that is read, and what transformers makes of hard texts.

transformers 5.23.0, tokenizers 0.23.3, Python 3.11.2 -> Tests/Goldens/clip-*/{vocab,cases,…}.json, merges.txt
python scripts/goldens/clip_tokenizer.py POCKET_MODEL/tokenizer
"""
import inspect, json, pathlib, random, sys, textwrap
from collections import Counter
from tokenizers import pre_tokenizers
from transformers import CLIPTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
START, END, LENGTH = "<|startoftext|>", "<|endoftext|>", 77
TEXTS = ["", " ", "a", "emoji of a red apple, food fruit", "A PHOTO of a Cat!",
         "don't I'LL we'Ve 'S it's 'tis rock'n'roll x'd", "(masterpiece:1.2), [best quality], {8k} \\(uhd\\)",
         "1girl, 3.14159 1,000,000 2026 Ⅷ ² ½ ٣٤٥", "tabs\tand\n\nlines\r\n  \u00a0\u3000x\u2028y\u0085z",
         "&lt;b&gt; &amp; &quot;&#39;&nbsp;x&amp;amp;", "https://example.org/a_b?c=d&e=%20#f", "!", "!!!", "a!b ! c!?",
         "hi!! !?\u00a1", "wow !! ' '' ''' ''s '!'s",
         "café cafe\u0301 a\u0300\u0323 \u1100\u1161\u11a8 \u212b ﬁ ß ẞ", "İstanbul ΣΑΣ ǅ ΑΙ\u0345 Ὀδυσσεύς ĲSSEL",
         "学习 模型训练，低秩。 テスト 한국어 สวัสดี नमस्ते مرحبا بالعالم Привет МИР",
         "👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 ☺️ 🇨🇳😼", "x\x00y\x7f\ufffd\U0010ffff \u200b\ufeff z\u00ad", f"a {START} b {END} c",
         f"{START.upper()} x {END.upper()}",
         f"{END}{END}x{START}", "<|startoftext |> <|endoftext \x1f", "\x1c x", "</w> a</w> <w/> _a_b __init__",
         "ſ 'ſ K Å", "\U00010400 \U0001e900 Ⓐ ﷽ 𝓦𝓸𝓻𝓭"]
choose = random.Random(0)
WORDS = [word for text in TEXTS for word in text.split()]
WORDS += [" ", ", ", "\n", "-", "...", "the", "The", "low", "painting", "of"]
TEXTS += ["".join(choose.choice(WORDS) + choose.choice(["", " ", " ", ", "]) for _ in range(choose.randint(2, 30)))
          for _ in range(40)]
LONG = ["red apple, " * count for count in (24, 25, 26, 37, 49, 50, 76, 120)]
LONG += ["a " * count for count in (74, 75, 76, 149, 150, 151, 225)]
LONG += ["a" * 700, "!" * 200, "学" * 90, "😼 " * 40, "x " * 3000]


def learn(count):
    """Byte characters, the same at a word's end, and merges learnt from prose: CLIP's order."""
    letters = [chr(code) for code in [*range(33, 127), *range(161, 173), *range(174, 256), *range(256, 324)]]
    prose = " ".join([inspect.getsource(textwrap), *TEXTS, "red apple food fruit emoji photo cat " * 9]).lower()
    pieces = Counter(piece for piece, _ in pre_tokenizers.Sequence([
        pre_tokenizers.Split(" ", "removed"), pre_tokenizers.ByteLevel(add_prefix_space=False)]).pre_tokenize_str(prose))
    words, merges = {(*piece[:-1], piece[-1] + "</w>"): times for piece, times in pieces.items()}, []
    while len(merges) < count:
        pairs = Counter()
        for word, times in words.items():
            for pair in zip(word, word[1:]): pairs[pair] += times
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        words = {joined(word, best): times for word, times in words.items()}
    tokens = letters + [letter + "</w>" for letter in letters] + ["".join(merge) for merge in merges] + [START, END]
    assert len(set(tokens)) == len(tokens)
    return {token: number for number, token in enumerate(tokens)}, merges


def joined(word, pair):
    result = []
    for part in word:
        if result and (result[-1], part) == pair: result[-1] += part
        else: result.append(part)
    return tuple(result)


def added(content, normalized=True, **more):
    return {"content": content, "lstrip": False, "normalized": normalized, "rstrip": False, "single_word": False,
            **more}


def write(folder, name, value):
    folder.mkdir(parents=True, exist_ok=True)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    (folder / name).write_text(text, encoding="utf8")


def chunks(tokenizer, tokens):
    """As kohya's trainers do for 225 tokens: the ids as one row, cut in three, each with its own start and end."""
    start, end, pad = tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id
    rows = []
    for first in (0, 75, 150):
        row = [start, *tokens[first:first + 75], end]
        rows.append(row + [pad] * (LENGTH - len(row)))
    return rows


def cases(folder, texts):
    tokenizer = CLIPTokenizer.from_pretrained(folder)
    saved = []
    for text in texts:
        tokens = tokenizer(text, add_special_tokens=False, padding=False)["input_ids"]
        ids = tokenizer(text, padding="max_length", max_length=LENGTH, truncation=True)["input_ids"]
        decoded = [tokenizer.decode(ids, skip_special_tokens=skip, clean_up_tokenization_spaces=False)
                   for skip in (False, True)]
        assert len(ids) == LENGTH and ids == chunks(tokenizer, tokens[:75])[0], (text, ids, tokens)
        case = {"text": text, "ids": ids, "count": len(tokens), "text_with": decoded[0], "text_without": decoded[1]}
        if len(tokens) > 75: case["chunks"] = chunks(tokenizer, tokens)
        saved.append(case)
    write(folder, "cases.json", saved)
    print(folder.name, tokenizer.pad_token_id, tokenizer.added_tokens_decoder)


vocab, merges = learn(450)
first, last = vocab[START], vocab[END]
marks = {"bos_token": added(START), "eos_token": added(END), "unk_token": added(END)}
typed = {role: {"__type": "AddedToken", **token} for role, token in marks.items()}
base = {"add_prefix_space": False, "do_lower_case": True, "errors": "replace", "model_max_length": LENGTH,
        "tokenizer_class": "CLIPTokenizer"}
listed = {"0": added("!", False, special=True), str(first): added(START, special=True),
          str(last): added(END, special=True)}
kinds = {
    "bare": {},
    "sd1": {"tokenizer_config.json": {**base, **typed, "pad_token": END},
            "special_tokens_map.json": {**marks, "pad_token": END}},
    "sd2": {"tokenizer_config.json": {**base, **typed, "pad_token": END},
            "special_tokens_map.json": {**marks, "pad_token": "!"}},
    "sdxl": {"tokenizer_config.json": {**base, "bos_token": START, "eos_token": END, "unk_token": END,
                                       "pad_token": "!", "added_tokens_decoder": listed},
             "special_tokens_map.json": {**marks, "pad_token": "!"}},
}
for kind, files in kinds.items():
    folder = ROOT / f"clip-{kind}"
    write(folder, "vocab.json", vocab)
    write(folder, "merges.txt", "#version: 0.2\n" + "".join(f"{a} {b}\n" for a, b in merges))
    for name, value in files.items(): write(folder, name, value)
    cases(folder, TEXTS + LONG if kind == "sd1" else TEXTS[:29] + LONG[:6])

# tokenizer.json as it lies beside openai/clip-vit-large-patch14
words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
write(ROOT / "clip-fast", "tokenizer.json", {
    "version": "1.0", "truncation": None, "padding": None,
    "added_tokens": [{"id": first, "special": True, **added(START)},
                     {"id": last, "special": True, **added(END, False)}],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "NFC"}, {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "}, {"type": "Lowercase"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": words}, "behavior": "Removed", "invert": True}, level]},
    "post_processor": {"type": "RobertaProcessing", "sep": [END, last], "cls": [START, first],
                       "trim_offsets": False, "add_prefix_space": False},
    "decoder": {**level, "add_prefix_space": True},
    "model": {"type": "BPE", "dropout": None, "unk_token": END, "continuing_subword_prefix": "",
              "end_of_word_suffix": "</w>", "fuse_unk": False, "vocab": vocab,
              "merges": [" ".join(merge) for merge in merges]}})
write(ROOT / "clip-fast", "tokenizer_config.json", {**base, **typed, "pad_token": END})
cases(ROOT / "clip-fast", TEXTS[:29] + LONG[:6])

pocket = ROOT / "clip-pocket"
pocket.mkdir(exist_ok=True)
for name in ("tokenizer.json", "tokenizer_config.json"):
    write(pocket, name, json.loads((pathlib.Path(sys.argv[1]) / name).read_text()))
cases(pocket, TEXTS[:48] + LONG[:6])
