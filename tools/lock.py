"""Write ``requirements.lock``: the exact installed versions of everything pyproject.toml needs."""

from __future__ import annotations

import tomllib
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
NOT_LOCKED = {"pip", "setuptools", "wheel"}


def declared(pyproject: Path) -> list[Requirement]:
    """Return the requirements of a project and of all its extras."""
    project = tomllib.loads(pyproject.read_text())["project"]
    lines = list(project["dependencies"])
    for extra in project.get("optional-dependencies", {}).values():
        lines += extra
    return [Requirement(line) for line in lines]


def closure(requirements: list[Requirement]) -> dict[str, str]:
    """Return name and installed version of the requirements and of what they need.

    CUDA packages of a GPU build of torch and local version suffixes are left out: pip adds what
    the torch build at hand needs.
    """
    versions: dict[str, str] = {}
    seen: set[tuple[str, str]] = set()
    queue = [(need, extra) for need in requirements for extra in ("", *need.extras)]
    while queue:
        need, extra = queue.pop()
        name = canonicalize_name(need.name)
        if (name, extra) in seen or name in NOT_LOCKED or name.startswith(("nvidia-", "triton")):
            continue
        seen.add((name, extra))
        found = metadata.distribution(name)
        versions[name] = Version(found.version).public
        for line in found.requires or []:
            inner = Requirement(line)
            if inner.marker is None or inner.marker.evaluate({"extra": extra}):
                queue += [(inner, wanted) for wanted in ("", *inner.extras)]
    return dict(sorted(versions.items()))


def main() -> None:
    """Write the lock file of this repository from the running environment."""
    versions = closure(declared(ROOT / "pyproject.toml"))
    lines = [f"{name}=={version}" for name, version in versions.items()]
    header = "# Written by `make lock` from pyproject.toml: exact versions, every extra included.\n"
    (ROOT / "requirements.lock").write_text(header + "\n".join(lines) + "\n")
    print(f"{len(lines)} packages locked")


if __name__ == "__main__":
    main()
