"""The C side, compiled when it is first asked for."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

SOURCES = Path(__file__).parent / "c"
_FLAGS = ["-std=c11", "-O2", "-D_GNU_SOURCE", "-shared", "-fPIC"]


@cache
def compiled(name: str, *flags: str) -> ctypes.CDLL:
    """Compile a file of bench/c, or all files of a folder there, and load what comes out; its file is gone by then."""
    gcc = shutil.which("gcc")
    if gcc is None:
        raise SystemExit("there is no gcc to compile the C side with")
    sources = sorted((SOURCES / name).glob("*.c")) or [SOURCES / f"{name}.c"]
    with tempfile.TemporaryDirectory(prefix="unixipc-bench-") as folder:
        library = Path(folder) / f"{name}.so"
        subprocess.run([gcc, *_FLAGS, *flags, "-o", library, *sources, "-lrt", "-pthread"], check=True)
        return ctypes.CDLL(str(library))
