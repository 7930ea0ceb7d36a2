"""What the shim writes against CPython's own API: a second module inside the shared object of `_native`."""

import sys
from importlib.machinery import ExtensionFileLoader
from importlib.util import module_from_spec, spec_from_loader

from unixipc import _native

_loader = ExtensionFileLoader(__name__, _native.__file__)
_spec = spec_from_loader(__name__, _loader)
_module = module_from_spec(_spec)
_loader.exec_module(_module)
sys.modules[__name__] = _module
