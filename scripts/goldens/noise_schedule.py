"""Noise schedules of every kind, noise on a latent, velocities and min-SNR weights, as diffusers computes them.

diffusers 0.42.1, torch 2.11.0, numpy 2.4.6 -> Tests/Goldens/noise-schedule.safetensors
python scripts/goldens/noise_schedule.py
"""
import pathlib, torch
from diffusers import DDIMScheduler
from diffusers.training_utils import compute_snr
from safetensors.torch import save_file

ROOT = pathlib.Path(__file__).resolve().parents[2] / "Tests/Goldens"
KINDS = {"scaled_linear": dict(beta_start=0.00085, beta_end=0.012), "linear": dict(beta_start=0.0001, beta_end=0.02),
         "squaredcos_cap_v2": {}}
TIMES = torch.tensor([0, 1, 250, 500, 999])
torch.manual_seed(0)
latent, noise = torch.randn(5, 2, 2, 3), torch.randn(5, 2, 2, 3)
saved = {"timesteps": TIMES, "latent": latent, "noise": noise}
for kind, betas in KINDS.items():
    for zero in (False, True):
        name = f"{kind}.zero" if zero else kind
        schedule = DDIMScheduler(1000, beta_schedule=kind, rescale_betas_zero_snr=zero, **betas)
        saved[f"{name}.alphas_cumprod"] = schedule.alphas_cumprod
        saved[f"{name}.noisy"] = schedule.add_noise(latent, noise, TIMES)
        saved[f"{name}.velocity"] = schedule.get_velocity(latent, noise, TIMES)
        snr = compute_snr(schedule, torch.arange(1000))
        if not zero: saved[f"{name}.snr"] = snr[TIMES]
        for gamma in (1, 5, 20):  # the formulas of kohya's apply_snr_weight
            least = torch.minimum(snr, torch.full_like(snr, gamma))
            saved[f"{name}.weight.v_prediction.{gamma}"] = (least / (snr + 1))[TIMES]
            saved[f"{name}.weight.epsilon.{gamma}"] = torch.nan_to_num(least / snr, nan=1.0)[TIMES]
save_file({key: value.contiguous() for key, value in saved.items()}, ROOT / "noise-schedule.safetensors")
(ROOT / "noise-schedule.safetensors").chmod(0o644)
print({key: value.shape for key, value in saved.items() if "alphas" in key})
