"""Makes Tests/Goldens/tiny-chat: a LLaMA of random weights with a byte-level tokenizer and a chat template, small
enough to train within a test.

usage: python scripts/goldens/tiny_chat.py      (transformers 5.23.0, tokenizers 0.23.3, torch 2.11.0)
"""
import json
import os

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM

root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
folder = os.path.join(root, "Tests", "Goldens", "tiny-chat")
os.makedirs(folder, exist_ok=True)
lines = [json.loads(line) for line in open(os.path.join(root, "examples", "helpdesk.jsonl"))]

tokenizer = Tokenizer(models.BPE())
tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
tokenizer.decoder = decoders.ByteLevel()
trainer = trainers.BpeTrainer(
    vocab_size=384, special_tokens=["<|im_start|>", "<|im_end|>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
)
tokenizer.train_from_iterator((text for line in lines for text in line.values()), trainer)
tokenizer.save(os.path.join(folder, "tokenizer.json"))
template = (
    "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
with open(os.path.join(folder, "tokenizer_config.json"), "w") as file:
    json.dump({"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<|im_end|>", "chat_template": template}, file)

torch.manual_seed(0)
model = LlamaForCausalLM(LlamaConfig(
    vocab_size=384, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=512, tie_word_embeddings=True,
))
model.to(torch.bfloat16).save_pretrained(folder)
os.remove(os.path.join(folder, "generation_config.json"))
