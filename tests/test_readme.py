"""README.md and the pages of docs: the examples run, and the commands are those of the check."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent


def blocks(page: str, language: str) -> list[str]:
    """Take what a page shows in a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)


def is_recipe(example: str) -> bool:
    """Whether it is a test module, and pytest shall run it."""
    return re.search(r"^ *def test_", example, flags=re.MULTILINE) is not None


PAGES = ["README.md", *sorted(str(page.relative_to(ROOT)) for page in ROOT.glob("docs/*.md"))]
SHOWN = [(page, text) for page in PAGES for text in blocks(page, "python")]
EXAMPLES = [
    pytest.param(text, id=f"{page}: {text.splitlines()[-1][:40]}") for page, text in SHOWN if not is_recipe(text)
]
RECIPES = [text for _, text in SHOWN if is_recipe(text)]


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_example_runs(example: str) -> None:
    done = subprocess.run([sys.executable, "-W", "error", "-c", example], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda text: re.findall(r"def (test_\w+)", text)[0])
def test_the_recipe_passes_as_a_test(recipe: str, tmp_path: Path) -> None:
    module = tmp_path / "test_recipe.py"
    module.write_text(recipe)
    options = ["-q", "-p", "no:cacheprovider", "-p", "unixipc.testing.plugin", "-o", "unixipc_leak_check=true"]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, module], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert f"{recipe.count('def test_')} passed" in done.stdout


def test_the_quick_start_has_two_commands_and_the_check_runs_the_second() -> None:
    commands = [text.strip() for text in blocks("README.md", "sh")]
    assert len(commands) == 2
    assert all("\n" not in command for command in commands)
    assert commands[1] in [line.strip() for line in (ROOT / ".ci" / "run").read_text().splitlines()]
