"""Testing code that forks: children with a deadline and crash reports, handshakes, and a check for leaks.

Nothing here needs pytest; `unixipc.testing.plugin` makes fixtures of it.
"""

from unixipc.testing.children import DEADLINE as DEADLINE
from unixipc.testing.children import Child as Child
from unixipc.testing.children import fork as fork
from unixipc.testing.crashes import CrashError as CrashError
from unixipc.testing.crashes import CrashReport as CrashReport
from unixipc.testing.crashes import DeadlineError as DeadlineError
from unixipc.testing.evidence import ThreadEvidence as ThreadEvidence
from unixipc.testing.handshakes import HandshakeError as HandshakeError
from unixipc.testing.handshakes import Parent as Parent
from unixipc.testing.handshakes import parent as parent
from unixipc.testing.leaks import Leak as Leak
from unixipc.testing.leaks import LeakError as LeakError
from unixipc.testing.leaks import Snapshot as Snapshot
from unixipc.testing.leaks import no_leaks as no_leaks
from unixipc.testing.looks import LeakKind as LeakKind
