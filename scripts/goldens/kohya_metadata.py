"""The metadata of a run as sd-scripts writes them, and an adapter's hashes -> Tests/Goldens/kohya_metadata.json

Python 3.11, torch 2.11.0, safetensors 0.8.0
python scripts/goldens/kohya_metadata.py

Every value goes through Python's own `str` and `json.dumps`, as in sd-scripts' train_network.py.
"""
import datetime, hashlib, json, pathlib, torch
from safetensors.torch import save

OUT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens/kohya_metadata.json"
CAPTIONS = {"10_ink": ["ink, A cat,  ink , tree", "Ink,, \"mist\"\\über 山"], "3_更多": ["", "cat"]}
REGULARISATION = {"1_reg": ["a cat"]}


def frequency(captions):
    counts = {}
    for caption in captions:
        for tag in filter(None, (part.strip().lower() for part in caption.split(","))):
            counts[tag] = counts.get(tag, 0) + 1
    return counts


def directories(folders):
    return {name: {"n_repeats": int(name.split("_")[0]), "img_count": len(captions)}
            for name, captions in folders.items()}


full = {
    "ss_session_id": 4294967295, "ss_training_started_at": 1700000000.25, "ss_output_name": "ink",
    "ss_learning_rate": 1e-4, "ss_text_encoder_lr": 5e-05, "ss_unet_lr": None, "ss_num_train_images": 26,
    "ss_num_reg_images": 1, "ss_num_batches_per_epoch": 13, "ss_num_epochs": 4, "ss_gradient_checkpointing": True,
    "ss_gradient_accumulation_steps": 2, "ss_max_train_steps": 26, "ss_lr_warmup_steps": 3, "ss_lr_scheduler": "cosine",
    "ss_network_module": "networks.lora", "ss_network_dim": 8, "ss_network_alpha": 16.0, "ss_network_dropout": None,
    "ss_mixed_precision": "bf16", "ss_v2": True, "ss_base_model_version": "sd_v2_v", "ss_clip_skip": 2,
    "ss_cache_latents": True, "ss_seed": 7, "ss_noise_offset": 0.05, "ss_zero_terminal_snr": True,
    "ss_training_comment": "first try", "ss_optimizer": "torch.optim.adamw.AdamW(weight_decay=0.01,betas=(0.9, 0.999))",
    "ss_max_grad_norm": 1.0, "ss_caption_dropout_rate": 0.1, "ss_prior_loss_weight": 0.5, "ss_min_snr_gamma": 5.0,
    "ss_batch_size_per_device": 2, "ss_total_batch_size": 4, "ss_resolution": (768, 512), "ss_flip_aug": True,
    "ss_random_crop": False, "ss_shuffle_caption": True, "ss_enable_bucket": True, "ss_bucket_no_upscale": True,
    "ss_min_bucket_reso": 256, "ss_max_bucket_reso": 1024, "ss_keep_tokens": 1,
    "ss_dataset_dirs": json.dumps(directories(CAPTIONS)),
    "ss_reg_dataset_dirs": json.dumps(directories(REGULARISATION)),
    "ss_tag_frequency": json.dumps({name: frequency(texts) for name, texts in (CAPTIONS | REGULARISATION).items()}),
    "ss_bucket_info": json.dumps({"buckets": {0: {"resolution": (768, 512), "count": 20},
                                              1: {"resolution": (512, 768), "count": 6}},
                                  "mean_img_ar_error": 0.012345678901234567}),
    "ss_network_args": json.dumps({"conv_dim": "4", "conv_alpha": "1"}), "ss_sd_model_hash": "cc6cb27103",
    "ss_new_sd_model_hash": "ab" * 32, "ss_sd_model_name": "base.safetensors",
    "ss_training_finished_at": 1700000123.5, "ss_steps": 26, "ss_epoch": 2,
    "modelspec.sai_model_spec": "1.0.1", "modelspec.architecture": "stable-diffusion-v2-768-v/lora",
    "modelspec.implementation": "diffusers", "modelspec.title": "ink", "modelspec.resolution": "768x512",
    "modelspec.date": datetime.datetime.fromtimestamp(1700000123, datetime.UTC).replace(tzinfo=None).isoformat(),
    "modelspec.prediction_type": "v", "modelspec.encoder_layer": "2", "modelspec.implementation_version": "lora/0.1.0",
    "modelspec.author": "A. Painter", "modelspec.trigger_phrase": "inkwash",
}

# 1.2 MB, so that the legacy hash sees tensors; numbers as in the test.
values = (torch.arange(300_000, dtype=torch.int64) * 7919 % 2003).float().view(300, 1000)
tensors = {"lora_unet_conv_in.lora_down.weight": values, "lora_unet_conv_in.alpha": torch.tensor(4.0)}
data = save(tensors, {key: str(value) for key, value in full.items() if key.startswith("ss_")})
header = 8 + int.from_bytes(data[:8], "little")
content = {
    "metadata": {key: str(value) for key, value in full.items()},
    "hashes": {"sshs_model_hash": hashlib.sha256(data[header:]).hexdigest(),
               "sshs_legacy_hash": hashlib.sha256(data[0x100000:0x110000]).hexdigest()[:8]},
}
OUT.write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
