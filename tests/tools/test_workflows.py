"""The workflows are well formed and call what can be run here too."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
VARIABLES = set(re.findall(r"^([A-Z]+) \??=", MAKEFILE, re.MULTILINE))
each = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def steps(path):
    jobs = yaml.safe_load(path.read_text(encoding="utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


@each
def test_a_workflow_has_a_trigger_jobs_and_limits(path):
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert content[True], "no trigger (YAML reads `on` as true)"
    assert content["permissions"]["contents"] == "read"
    for job in content["jobs"].values():
        assert job["runs-on"] == "ubuntu-latest"
        assert job["timeout-minutes"] <= 90
        assert job["steps"][0]["uses"].startswith("actions/checkout@")


@each
def test_what_is_built_is_built_by_make(path):
    for step in steps(path):
        if "run" not in step or step["run"].startswith(("cd _build/html\n", "title=")):
            continue
        command, *words = step["run"].split()
        if command == ".ci/run":
            continue
        assert command == "make"
        names = [word for word in words if "=" not in word]
        assert set(names) <= TARGETS
        assert {word.split("=")[0] for word in words if "=" in word} <= VARIABLES


@each
def test_actions_are_pinned_to_a_commit_that_no_tag_can_move(path):
    used = re.findall(r"uses: (\S+)  # v[\d.]+\n", path.read_text(encoding="utf-8"))
    assert used == [step["uses"] for step in steps(path) if "uses" in step]
    for one in used:
        assert re.fullmatch(r"actions/[\w-]+@[0-9a-f]{40}", one)


@each
@pytest.mark.skipif(shutil.which("actionlint") is None, reason="actionlint is not installed")
def test_actionlint_finds_nothing(path):
    ended = subprocess.run(["actionlint", str(path)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
