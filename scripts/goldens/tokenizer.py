"""Small byte-pair tokenizers of every kind that is read, and what the reference makes of hard texts.

tokenizers 0.23.3, Python 3.11.2 -> Tests/Goldens/tokenizer-*/{tokenizer,cases}.json
python scripts/goldens/tokenizer.py
"""
import inspect, json, pathlib, random, textwrap
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
LLAMA = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|"
         r"\s+(?!\S)|\s+")
PIECES = """the low rank adapter trains don't I'LL we'Ve 'S 'ſ x'T 学习 模型训练 低秩 مرحبا بالعالم สวัสดี नमस्ते 한국어 テスト Привет
 café cafe\u0301 a\u0300\u0323 \u1100\u1161\u11a8 \u212b Ⅷ ² ½ ٣٤٥ 2026 3.14159 1,000,000 👨‍👩‍👧‍👦 🏳️‍🌈 👍🏽 def f(x): return {}
 != => // _a_b <|end|> <|e <mask> [R] word <0x0A> <s> </s> \u2028 \u200b ﬁ İ ß ==== ---""".split()
PIECES += [" ", "  ", "\t", "\n", "\r\n", "\n\n", "\u00a0", "\u3000", "\u0085", " \n ", "   x"]
choose = random.Random(0)
TEXTS = ["", " ", "a", "Hello, world!", " leading", "trailing  ", "x\x00y\x7f\ufffd\U0010ffff"]
TEXTS += ["".join(choose.choice(PIECES) + choose.choice(["", "", " ", " ", "\n"])
                  for _ in range(choose.randint(1, 24))) for _ in range(120)]
TEXTS += [c * n for c in " \na1=学\t" for n in (2, 33, 70)]
CORPUS = [inspect.getsource(module) for module in (textwrap, inspect, json.decoder)] + TEXTS


def case(tokenizer, text):
    tokenizer.encode_special_tokens = False
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    tokenizer.encode_special_tokens = True
    return {"text": text, "ids": ids, "plain": tokenizer.encode(text, add_special_tokens=False).ids}


def train(name, pre, normalizer=None, decoder=decoders.ByteLevel(), post=None, added=(), as_text=False, **options):
    tokenizer = Tokenizer(models.BPE(**options))
    tokenizer.pre_tokenizer, tokenizer.normalizer, tokenizer.decoder = pre, normalizer, decoder
    spelled = isinstance(decoder, decoders.ByteLevel)
    byte_tokens = [] if spelled else [f"<0x{byte:02X}>" for byte in range(256)]
    tokenizer.train_from_iterator(CORPUS, trainers.BpeTrainer(
        vocab_size=1200, show_progress=False, special_tokens=["<s>", "</s>", "<unk>", *byte_tokens],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()) if spelled else [], limit_alphabet=300))
    saved = json.loads(tokenizer.to_str())
    saved["added_tokens"] = [token for token in saved["added_tokens"] if token["content"] not in byte_tokens]
    tokenizer = Tokenizer.from_str(json.dumps(saved))
    tokenizer.add_tokens(list(added))
    if post: tokenizer.post_processor = post
    saved = json.loads(tokenizer.to_str())
    if as_text: saved["model"]["merges"] = [" ".join(merge) for merge in saved["model"]["merges"]]
    cases = [case(tokenizer, text) for text in TEXTS]
    lists = [c["ids"] for c in cases] + [choose.choices(range(tokenizer.get_vocab_size()), k=12) for _ in range(80)]
    decoded = [{"ids": ids, "text": tokenizer.decode(ids, False), "skipped": tokenizer.decode(ids)} for ids in lists]
    (ROOT / f"tokenizer-{name}").mkdir(parents=True, exist_ok=True)
    for file, value in (("tokenizer", saved), ("cases", {"encode": cases, "decode": decoded})):
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        (ROOT / f"tokenizer-{name}/{file}.json").write_text(text)


gpt2, bare = (pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=regex) for regex in (True, False))
split = lambda digits: pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA % digits), "isolated"), bare])
token = lambda content, **options: AddedToken(content, **{"normalized": False, **options})
odd = [token("<|end|>", special=True), token("<mask>", lstrip=True, special=True), token("[R]", rstrip=True),
       token("word", single_word=True), token("cafe\u0301", normalized=True)]
start = processors.TemplateProcessing("<s> $A", "<s> $A <s> $B", special_tokens=[("<s>", 0)])
marks = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
pieces = {"decoder": marks, "post": start, "added": odd[:2], "byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
train("gpt2", gpt2, added=odd[:1], as_text=True)
train("smollm", pre_tokenizers.Sequence([pre_tokenizers.Digits(True), gpt2]), added=odd)
train("llama3", split("{1,3}"), added=odd, post=processors.Sequence([processors.ByteLevel(), start]), ignore_merges=True)
train("qwen2", split(""), normalizers.NFC(), added=odd)
train("llama2", None, normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), **pieces)
train("mistral", pre_tokenizers.Metaspace(prepend_scheme="first", split=False), **pieces)
