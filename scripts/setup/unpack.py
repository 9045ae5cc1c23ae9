"""Unpacks what a C++ program needs out of PyTorch's wheels: unpack.py FOLDER reads FOLDER/wheels/*.whl and writes
FOLDER/torch, FOLDER/nvidia and FOLDER/licenses. The Python half is left out, and without the CUDA libraries beside
it the CUDA half too, for it could not load."""

import pathlib
import re
import sys
import zipfile

PYTHON_ONLY = re.compile(r"torch/lib/(libtorch_python|libshm)")
CUDA_HALF = re.compile(r"torch/lib/lib(torch_cuda|torch_nvshmem|c10_cuda|caffe2_nvrtc)")
LIBRARY = re.compile(r"nvidia/.*/lib/[^/]+\.so[.0-9]*")
LICENCE = re.compile(r"[^/]+\.dist-info/(licenses/.*|LICEN[CS]E[^/]*|License[^/]*|METADATA)")


def is_wanted(name: str, with_cuda: bool) -> bool:
    if name.endswith("/"):
        return False
    if name.startswith(("torch/include/", "torch/lib/")):
        return not PYTHON_ONLY.match(name) and (with_cuda or not CUDA_HALF.match(name))
    return bool(LIBRARY.fullmatch(name))


def main() -> None:
    folder = pathlib.Path(sys.argv[1])
    wheels = sorted((folder / "wheels").glob("*.whl"))
    with_cuda = any("cudnn" in wheel.name for wheel in wheels)
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive:
            for name in archive.namelist():
                if is_wanted(name, with_cuda):
                    archive.extract(name, folder)
                elif LICENCE.fullmatch(name):
                    archive.extract(name, folder / "licenses")
        wheel.unlink()  # each 0.5 GB less before the next


main()
