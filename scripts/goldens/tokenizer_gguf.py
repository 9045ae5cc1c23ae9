"""Vocabularies inside GGUF files: byte-level (of tokenizer-smollm) and SentencePiece, with the latter's encodings.

gguf 0.19.0, sentencepiece 0.2.3, after tokenizer.py -> Tests/Goldens/tokenizer-{smollm,sentencepiece}.gguf and
Tests/Goldens/tokenizer-sentencepiece.json
python scripts/goldens/tokenizer_gguf.py
"""
import io, json, pathlib, textwrap
import gguf, sentencepiece

ROOT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
CASES = json.loads((ROOT / "tokenizer-smollm/cases.json").read_text())["encode"]
TEXTS = [case["text"] for case in CASES if "\x00" not in case["text"]]


def write(name, model, tokens, types, fields):
    writer = gguf.GGUFWriter(ROOT / f"tokenizer-{name}.gguf", "llama")
    writer.add_tokenizer_model(model)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    fields(writer)
    writer.add_chat_template("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def byte_level(writer):
    writer.add_tokenizer_pre("smollm")
    writer.add_token_merges([" ".join(merge) for merge in saved["model"]["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(1)
    writer.add_add_bos_token(False)


def scored(writer):
    writer.add_token_scores([processor.get_score(i) for i in range(len(processor))])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)


saved = json.loads((ROOT / "tokenizer-smollm/tokenizer.json").read_text())
names = {**saved["model"]["vocab"], **{token["content"]: token["id"] for token in saved["added_tokens"]}}
tokens = sorted(names, key=names.get)
special = {token["content"]: 3 if token["special"] else 4 for token in saved["added_tokens"]}
write("smollm", "gpt2", tokens, [special.get(token, 1) for token in tokens], byte_level)

model = io.BytesIO()
sentencepiece.SentencePieceTrainer.train(
    sentence_iterator=iter((" ".join(TEXTS) + pathlib.Path(textwrap.__file__).read_text()).splitlines()),
    model_writer=model, model_type="bpe", vocab_size=900, byte_fallback=True, normalization_rule_name="identity",
    remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, minloglevel=2)
processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
kinds = lambda i: (2 if processor.is_unknown(i) else 3 if processor.is_control(i) else 6 if processor.is_byte(i) else 1)
everything = range(len(processor))
write("sentencepiece", "llama", [processor.id_to_piece(i) for i in everything], [kinds(i) for i in everything], scored)
cases = [{"text": text, "ids": processor.encode(text), "decoded": processor.decode(processor.encode(text))} for text in TEXTS]
(ROOT / "tokenizer-sentencepiece.json").write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")))
