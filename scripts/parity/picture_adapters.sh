#!/bin/sh
# Lets diffusers load the adapters' files that this project writes, on assets/pocket-emoji: texts, predictions and
# pictures must be ours. Takes a few minutes on two cores.
#
#     scripts/parity/picture_adapters.sh PYTHON [FOLDER]
#
# PYTHON is one of a virtual environment with the versions in picture_adapters.py's header; FOLDER (10 MB) is kept.
set -e
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
[ $# -ge 1 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
python=$1
folder=${2:-${TMPDIR:-/tmp}/lora-parity-adapters}
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"

mkdir -p "$folder"
"$python" "$root/scripts/parity/picture_adapters.py" "$folder" given
LORA_PARITY_ADAPTERS=$folder "$root/test" RealPictureAdapter
"$python" "$root/scripts/parity/picture_adapters.py" "$folder" compare
