"""What pyproject.toml cannot say: the cffi module, and the tag of the wheel, which free-threaded builds do without."""

import sysconfig

from setuptools import setup

abi3 = not sysconfig.get_config_var("Py_GIL_DISABLED")

setup(
    cffi_modules=["build_ffi.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if abi3 else {},
)
