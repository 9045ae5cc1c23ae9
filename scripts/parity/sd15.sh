#!/bin/sh
# Compares this project with diffusers at Stable Diffusion 1.5's size, with random weights: text, UNet, autoencoder,
# from a folder and from single files.
# Takes some minutes on two cores, and 5 GB of memory.
#
#     scripts/parity/sd15.sh PYTHON [FOLDER]
#
# PYTHON is one of a virtual environment with the versions in sd15.py's header; FOLDER (6.3 GB) is kept.
set -e
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
[ $# -ge 1 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
python=$1
folder=${2:-${TMPDIR:-/tmp}/lora-parity-sd15}
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"

mkdir -p "$folder"
[ -e "$folder/expected.safetensors" ] || "$python" "$root/scripts/parity/sd15.py" "$folder"
LORA_PARITY_SD15=$folder "$root/test" RealDiffusionTests
