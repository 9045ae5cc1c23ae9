"""Stable Diffusion 1.5's real size with random weights: a folder, single files, and what diffusers computes with it.

torch 2.11.0, diffusers 0.42.1, transformers 5.23.0, safetensors 0.8.0
sd15.py FOLDER   writes FOLDER/model, FOLDER/single.safetensors and FOLDER/single.ckpt, which hold the same (fp16, 2.1 GB
                 each), and FOLDER/expected.safetensors

No registry of packages holds the trained weights; the shapes alone are what a port of the tiny models cannot show.
Everything is computed in fp32 from the weights as stored, one part after the other (4.5 GB of memory).
"""
import gc, json, os, pathlib, resource, sys, time

os.environ["TQDM_DISABLE"] = "1"
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.loaders import single_file_utils as official
from diffusers.utils import logging
from safetensors.torch import load_file, save_file
from transformers import CLIPTextConfig, CLIPTextModel

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "goldens"))
import ldm_names

logging.set_verbosity_error()
out = pathlib.Path(sys.argv[1])
PARTS = {
    "unet": lambda: UNet2DConditionModel(sample_size=64, cross_attention_dim=768),
    "vae": lambda: AutoencoderKL(
        block_out_channels=(128, 256, 512, 512), layers_per_block=2, latent_channels=4, sample_size=512,
        down_block_types=["DownEncoderBlock2D"] * 4, up_block_types=["UpDecoderBlock2D"] * 4),
    "text_encoder": lambda: CLIPTextModel(CLIPTextConfig(
        vocab_size=49408, hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12,
        hidden_act="quick_gelu")),
}


@torch.no_grad()
def made(part):  # random, saved as fp16, then the same numbers in fp32
    torch.manual_seed(list(PARTS).index(part))
    model = PARTS[part]()
    for name, value in model.named_parameters():
        if value.dim() == 1: torch.nn.init.normal_(value, 1.0 if "norm" in name and "weight" in name else 0.0, 0.1)
        value.copy_(value.half())
    model.half().save_pretrained(out / "model" / part)
    return model.float().eval()


@torch.no_grad()
def main():
    torch.manual_seed(9)
    saved = {"tokens": torch.randint(0, 49408, (1, 77)), "x": torch.randn(1, 4, 64, 64),
             "pictures": torch.rand(1, 3, 256, 256) * 2 - 1, "timesteps": torch.tensor([601])}
    encoder = made("text_encoder")
    saved["text"] = encoder(saved["tokens"]).last_hidden_state
    del encoder
    net = made("unet")
    started = time.time()
    saved["y"] = net(saved["x"], saved["timesteps"], saved["text"]).sample
    print(f"diffusers' UNet took {time.time() - started:.1f} seconds for one prediction of 64 x 64, on "
          f"{torch.get_num_threads()} threads")
    saved["y.odd"] = net(saved["x"][..., :25, :39], saved["timesteps"], saved["text"]).sample
    del net
    gc.collect()
    vae = made("vae")
    posterior = vae.encode(saved["pictures"]).latent_dist
    saved |= {"mean": posterior.mean, "deviation": posterior.std, "decoded": vae.decode(posterior.mean).sample}
    save_file({key: value.contiguous() for key, value in saved.items()}, out / "expected.safetensors")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"the prediction's largest value is {saved['y'].abs().max():.3f}; diffusers took {peak:.0f} MiB at most")


def single():  # the same weights in the original layout, whose names diffusers' own converters turn back
    def part(name): return load_file(next((out / "model" / name).glob("*.safetensors")))

    net, vae, text = part("unet"), part("vae"), part("text_encoder")
    file = ldm_names.unet(net, 2) | ldm_names.autoencoder(vae, 4) | ldm_names.clip(text)
    config = json.loads((out / "model/vae/config.json").read_text()) | {"layers_per_block": 2}
    for converted, original in [(official.convert_ldm_unet_checkpoint(file, config), net),
                                (official.convert_ldm_vae_checkpoint(file, config), vae)]:
        assert converted.keys() == original.keys()
        assert all(torch.equal(value.reshape(original[key].shape), original[key]) for key, value in converted.items())
    save_file({key: value.contiguous() for key, value in file.items()}, out / "single.safetensors", {"format": "pt"})
    torch.save({"state_dict": file, "global_step": 840000}, out / "single.ckpt")
    print(f"diffusers' converters give back all {len(net) + len(vae)} tensors of UNet and VAE from {len(file)} in one file")


main()
single()
