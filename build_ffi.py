"""Build script of unixipc._native: the headers of src/shim are its cdef, the C files beside them its sources."""

from pathlib import Path

from cffi import FFI

SHIM = Path("src/shim")


def declarations(header: str) -> str:
    """Read a header less its directives, of which cffi knows only `#define NAME ...`."""
    lines = (SHIM / header).read_text().splitlines()
    return "\n".join(line for line in lines if not line.startswith("#") or line.endswith(" ..."))


ffibuilder = FFI()
ffibuilder.cdef(declarations("constants.h"))
ffibuilder.cdef(declarations("shim.h"))
ffibuilder.set_source(
    "unixipc._native",
    '#include "system.h"\n#include "shim.h"',
    sources=[str(path) for path in sorted(SHIM.glob("*.c"))],
    depends=[str(path) for path in sorted(SHIM.glob("*.h"))],
    include_dirs=[str(SHIM)],
    libraries=["dl", "rt", "pthread"],  # where dlopen(3), mq_open(3) and sem_open(3) live before glibc 2.34
    define_macros=[("_GNU_SOURCE", "1"), ("Py_LIMITED_API", "0x030b0000")],
    extra_compile_args=[
        "-fvisibility=hidden",  # or each call from file to file would look its function up
        "-fno-plt",  # calls into libraries go there at once, not by way of a table of jumps
    ],
    py_limited_api=True,
)
