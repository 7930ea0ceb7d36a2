"""The names of numbers: enumerations whose values come from the compiler, and their members under their C names.

A name that the headers of the build did not know is there all the same, with a value that no call takes.
"""

from unixipc.constants.dl import *
from unixipc.constants.fsopen import *
from unixipc.constants.mapping import *
from unixipc.constants.namespaces import *
from unixipc.constants.pipes import *
from unixipc.constants.posix import *
from unixipc.constants.processes import *
from unixipc.constants.signals import *
from unixipc.constants.sockets import *
from unixipc.constants.sysv import *
from unixipc.constants.timers import *
