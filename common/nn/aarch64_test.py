"""The vector loops compile for 64-bit ARM: what is chosen there at run time is kernels_generic.cc, whose
vectors of four floats are that processor's own. Skipped (status 77) where Debian's g++-aarch64-linux-gnu
is not installed."""

import os
import shutil
import subprocess
import sys
import tempfile

COMPILER = "aarch64-linux-gnu-g++"
SOURCE = os.environ["TANDEM_SOURCE_DIR"]
OPTIONS = os.environ["TANDEM_KERNEL_OPTIONS"].split()

if shutil.which(COMPILER) is None:
    print(f"skipped: {COMPILER} is not installed (apt-get install g++-aarch64-linux-gnu)")
    sys.exit(77)

with tempfile.TemporaryDirectory() as folder:
    denormals = os.path.join(folder, "denormals.cc")
    with open(denormals, "w", encoding="utf-8") as file:
        file.write('#include "common/nn/denormals.h"\n'
                   "float Half(float x) { const tandem::nn::FlushDenormals flush; return x / 2; }\n")
    for name in ("common/nn/kernels.cc", "common/nn/kernels_generic.cc", denormals):
        result = os.path.join(folder, "object.o")
        subprocess.run([COMPILER, "-std=c++20", "-Wall", "-Wextra", "-Werror", *OPTIONS, "-I", SOURCE, "-c",
                        os.path.join(SOURCE, name), "-o", result], check=True)
        code = subprocess.run(["aarch64-linux-gnu-objdump", "-d", result], check=True,
                              capture_output=True, text=True).stdout
        if name.endswith("kernels_generic.cc"):
            fused = code.count("fmla")
            assert fused > 100, f"expected vectors' fused multiply-adds in the loops, found {fused}"
            print(f"{name}: {fused} fused multiply-adds of vectors")
        print(f"{name}: compiles")
