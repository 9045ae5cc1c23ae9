#!/bin/sh
# Compares this project with transformers and PEFT on SmolLM2-135M: logits, loss, gradients, ten steps, adapters both
# ways. Build the tests first (./test ModelsTests). Takes about two minutes on two cores and 4 GB of memory.
#
#     scripts/parity/smollm2.sh PYTHON MODEL.gguf [FOLDER]
#
# PYTHON is one of a virtual environment with the versions in smollm2.py's header; FOLDER (150 MB) is kept.
set -e
root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd -P)
[ $# -ge 2 ] || { sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2; }
python=$1
model=$(CDPATH='' cd -- "$(dirname -- "$2")" && pwd -P)/$(basename -- "$2")
folder=${3:-${TMPDIR:-/tmp}/lora-parity}
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-2}"

"$python" "$root/scripts/parity/smollm2.py" prepare "$model" "$root/examples/helpdesk.jsonl" "$folder"
LORA_PARITY=$folder LORA_PARITY_BASE=$model "$root/test" RealModelTests
"$python" "$root/scripts/parity/smollm2.py" check "$model" "$folder"
