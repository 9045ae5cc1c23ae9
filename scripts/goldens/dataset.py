"""Tokens and masks of training data as peers make them: encode(prompt part) + encode(answer part), turn by turn.

usage: python scripts/goldens/dataset.py       (transformers 5.23.0, after scripts/goldens/tokenizer.py)
writes Tests/Goldens/dataset_samples.json
"""
import json, pathlib
from transformers import PreTrainedTokenizerFast

goldens = pathlib.Path(__file__).parents[2] / "Tests/Goldens"
tokenizer = PreTrainedTokenizerFast(
    tokenizer_file=str(goldens / "tokenizer-smollm/tokenizer.json"), bos_token="<s>", eos_token="<|end|>")
tokenizer.chat_template = (
    "{% for m in messages %}{% if loop.first and m.role != 'system' %}{{ '<s>system\\nBe brief.<|end|>\\n' }}"
    "{% endif %}{{ '<s>' + m.role + '\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s>assistant\\n' }}{% endif %}")

def turn(role, content): return {"role": role, "content": content}

RECORDS = [
    ({"instruction": "What is LoRA?", "output": "Low-rank adaptation."}, [turn("user", "What is LoRA?"), turn("assistant", "Low-rank adaptation.")]),
    ({"instruction": "Add.", "input": "1 + 2", "output": " 3 \n", "system": "Count."}, [turn("system", "Count."), turn("user", "Add.\n1 + 2"), turn("assistant", " 3 \n")]),
    ({"instruction": "And 4?", "output": "四 🙂", "history": [["Count to 2", "1\n2"], ["3?", "3"]]},
     [turn("user", "Count to 2"), turn("assistant", "1\n2"), turn("user", "3?"), turn("assistant", "3"), turn("user", "And 4?"), turn("assistant", "四 🙂")]),
    ({"messages": [turn("system", "S"), turn("user", "Hi\t there"), turn("assistant", "Café, naïve — ok"), turn("user", "def f(x):\n    return x"), turn("assistant", "```\n    ```")]}, None),
    ({"conversations": [{"from": "human", "value": "a  b"}, {"from": "gpt", "value": "c"}]}, [turn("user", "a  b"), turn("assistant", "c")]),
    ({"question": "Is \"x\" = 1?", "answer": "Yes.\r\nNo."}, [turn("user", "Is \"x\" = 1?"), turn("assistant", "Yes.\r\nNo.")]),
]

def encode(text): return tokenizer(text, add_special_tokens=False)["input_ids"]

cases = []
for record, messages in RECORDS:
    messages = messages or record["messages"]
    tokens, mask, done = [], [], ""
    for i, message in enumerate(messages):
        if message["role"] != "assistant": continue
        prompt = tokenizer.apply_chat_template(messages[:i], tokenize=False, add_generation_prompt=True)
        full = tokenizer.apply_chat_template(messages[:i + 1], tokenize=False)
        assert prompt.startswith(done) and full.startswith(prompt)
        for text, trained in ((prompt[len(done):], False), (full[len(prompt):], True)):
            ids = encode(text)
            tokens += ids
            mask += [trained] * len(ids)
        done = full
    cases.append({"record": json.dumps(record, ensure_ascii=False), "tokens": tokens, "trained": mask})
result = {"template": tokenizer.chat_template, "cases": cases}
(goldens / "dataset_samples.json").write_text(json.dumps(result, ensure_ascii=False, indent=None) + "\n")
