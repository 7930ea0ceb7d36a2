"""unixipc.compat: the peers' own tests and demos, unchanged, run over the drop-ins as over the peers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from compat.peers import HERE, PEERS, Peer, converse, environment, fetch, unpack

from unixipc import compat
from unixipc.testing import DEADLINE, private_ipc

pytestmark = pytest.mark.slow

PYTHON = sys.executable


@pytest.fixture(scope="module", params=PEERS, ids=lambda peer: peer.name)
def peer(request: pytest.FixtureRequest) -> Peer:
    chosen: Peer = request.param
    return chosen


@pytest.fixture(scope="module")
def sdist(peer: Peer, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    cache = getattr(request.config, "cache", None)  # there is none with -p no:cacheprovider
    return fetch(peer, tmp_path_factory.mktemp("sdist") if cache is None else cache.mkdir("sdist"))


@pytest.fixture
def source(peer: Peer, sdist: Path, tmp_path: Path) -> Path:
    return unpack(peer, sdist, tmp_path)


@pytest.mark.may_leak("POSIX shared memory")  # they leave a segment
def test_the_peer_s_own_tests_pass_and_the_peer_itself_is_not_there(peer: Peer, source: Path) -> None:
    with private_ipc(required=False):
        done = subprocess.run(
            [PYTHON, HERE / "suite.py", peer.name],
            cwd=source,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=8 * DEADLINE,
        )
    print(done.stderr[-200:])
    result = json.loads(done.stdout)
    assert result["failed"] == [], done.stderr
    assert result["passed"] == peer.passed
    assert len(result["skipped"]) == peer.skipped
    assert Path(result["file"]).is_relative_to(str(compat.__path__[0]))
    assert result["extensions"] == []


# -- the demos --


@pytest.fixture
def demo(peer: Peer, source: Path) -> Path:
    """The folder of the demo, with its C programs."""
    folder = source / peer.demo
    if shutil.which("gcc") is None:
        pytest.skip("there is no gcc to compile the partners with")
    settings = folder / "params.txt"  # with or without the semaphore
    settings.write_text(settings.read_text().replace("LIVE_DANGEROUSLY=1", "LIVE_DANGEROUSLY=0"))
    subprocess.run(["bash", "make_all.sh"], cwd=folder, check=True, capture_output=True)
    return folder


def in_c(name: str) -> list[str]:
    return ["stdbuf", "-oL", f"./{name}"]


def in_python(name: str) -> list[str]:
    return [PYTHON, f"{name}.py"]


@pytest.mark.parametrize(
    ("premise", "conclusion"),
    [(in_python, in_c), (in_c, in_python)],
    ids=["python makes, c joins", "c makes, python joins"],
)
def test_a_thousand_messages_go_to_a_c_program_and_back(premise: object, conclusion: object, demo: Path) -> None:
    assert callable(premise)
    assert callable(conclusion)
    try:
        said = converse(premise("premise"), conclusion("conclusion"), demo)
    finally:
        subprocess.run(in_python("cleanup"), cwd=demo, env=environment(), check=True, capture_output=True)
    for one in said:
        assert "iteration 999" in one
        assert "iteration 1000" not in one
        assert "corruption" not in one
        assert "failed" not in one


def test_the_demos_that_need_no_partner_run_to_their_end(peer: Peer, source: Path) -> None:
    for script in peer.alone:
        subprocess.run([PYTHON, source / script], env=environment(), check=True, capture_output=True, timeout=DEADLINE)
