"""A GGUF file with every kind of metadata value -> Tests/Goldens/gguf-mixed.gguf

numpy 2.4.6, gguf 0.19.0
python scripts/goldens/gguf_file.py
"""
from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType as Type, GGUFWriter

writer = GGUFWriter(Path(__file__).parents[2] / "Tests/Goldens/gguf-mixed.gguf", "llama")
writer.add_custom_alignment(64)
writer.add_name("Ein Nämchen 🙂")
writer.add_uint8("test.uint8", 255)
writer.add_int8("test.int8", -128)
writer.add_uint16("test.uint16", 65535)
writer.add_int16("test.int16", -32768)
writer.add_uint32("test.uint32", 2**32 - 1)
writer.add_int32("test.int32", -(2**31))
writer.add_uint64("test.uint64", 2**64 - 1)
writer.add_int64("test.int64", -(2**63))
writer.add_float32("test.float32", 1e-5)
writer.add_float64("test.float64", 0.1)
writer.add_bool("test.bool", True)
writer.add_array("test.strings", ["", "a", "Ġthe", "🙂"])
writer.add_array("test.integers", [1, -2, 3])
writer.add_array("test.floats", [0.5, -1.5])
writer.add_array("test.bools", [True, False])
writer.add_array("test.nested", [[1, 2], [3]])

rng = np.random.default_rng(0)
writer.add_tensor("token_embd.weight", np.arange(12, dtype=np.float32).reshape(3, 4))
writer.add_tensor("blk.0.attn_q.weight", rng.integers(0, 256, (2, 40), dtype=np.uint8), raw_dtype=Type.Q4_1)
writer.add_tensor("output_norm.weight", np.array([1, 0.5, -2], dtype=np.float16))
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
