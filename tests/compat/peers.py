"""The packages that `unixipc.compat` stands in for: their own tests and demos, from their sdists, over our modules.

A Python of `environment()` finds the drop-ins under the names of the peers: those of the folder `instead`.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from unixipc.testing import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Sequence

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Peer:
    name: str
    version: str
    sha256: str
    """Of its sdist."""
    passed: int
    skipped: int
    demo: str
    """The folder in which Mrs. Premise and Mrs. Conclusion talk through shared memory, in Python and in C."""
    alone: tuple[str, ...] = ()
    """Demos of one program."""


PEERS = (
    Peer(
        "posix_ipc",
        "1.3.2",
        "6923232111329954a8349f7d99f212b6e96b5206e77fbd39aaf1b3cb4a5e9260",
        passed=93,
        skipped=0,
        demo="demos/demo1",
    ),
    Peer(
        "sysv_ipc",
        "1.2.0",
        "ef96ab33bb62e4d14142f0be0524dcc0c3c70c96442df2fc773c67b7c7514199",
        passed=136,
        skipped=1,  # it expects of msgrcv(2) what neither POSIX nor Linux say
        demo="demos/sem_and_shm",
        alone=("demos/buffer_protocol/demo.py",),
    ),
)


def fetch(peer: Peer, cache: Path) -> Path:
    """Return the sdist, downloaded unless the cache has it; skip the test where that cannot be done."""
    sdist = cache / f"{peer.name}-{peer.version}.tar.gz"
    if not sdist.exists():
        pip = [sys.executable, "-m", "pip", "download", "--disable-pip-version-check", "--no-deps"]
        asked = ["--no-binary", peer.name, "--dest", str(cache), f"{peer.name}=={peer.version}"]
        done = subprocess.run([*pip, *asked], capture_output=True, text=True, check=False, timeout=10 * DEADLINE)
        if done.returncode != 0:
            pytest.skip(f"pip cannot download {sdist.name}: {done.stderr.strip().rpartition('ERROR: ')[2]}")
    assert hashlib.sha256(sdist.read_bytes()).hexdigest() == peer.sha256, f"{sdist} is not what was released"
    return sdist


def unpack(peer: Peer, sdist: Path, folder: Path) -> Path:
    """Unpack the tests and demos, and nothing from which the peer itself could be imported."""
    root = f"{peer.name}-{peer.version}"
    with tarfile.open(sdist) as archive:
        wanted = [m for m in archive.getmembers() if m.name.split("/")[1:2] in (["tests"], ["demos"])]
        archive.extractall(folder, wanted, filter="data")
    return folder / root


def environment() -> dict[str, str]:
    """Return the environment of a Python for which the drop-ins are the peers."""
    path = os.pathsep.join([str(HERE / "instead"), *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}


def converse(
    premise: Sequence[str], conclusion: Sequence[str], folder: Path, *environments: dict[str, str]
) -> tuple[str, str]:
    """Run two programs that talk to each other, the second once the first has begun, and return what they said."""
    said = folder / "premise.log", folder / "conclusion.log"
    first, second = environments or (environment(), environment())
    with said[0].open("w") as out:
        one = subprocess.Popen(premise, cwd=folder, env=first, stdout=out, stderr=out)
    try:
        _until_said(said[0], "iteration 0", one)
        with said[1].open("w") as out:
            done = subprocess.run(
                conclusion, cwd=folder, env=second, stdout=out, stderr=out, check=False, timeout=8 * DEADLINE
            )
        assert done.returncode == 0, said[1].read_text()[-2000:]
        assert one.wait(8 * DEADLINE) == 0, said[0].read_text()[-2000:]
    finally:
        one.kill()
        one.wait()
    return said[0].read_text(), said[1].read_text()


def _until_said(log: Path, text: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + DEADLINE
    while text not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"{process.args!r} never said {text!r}"
        os.sched_yield()
