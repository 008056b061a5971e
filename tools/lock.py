"""Write ``requirements.lock``: exact versions of everything pyproject.toml needs.

uv resolves, and keeps the versions of the present lock where they still fit.  Left out are what pip
brings itself and the CUDA packages of a GPU build of torch: pip adds what the build at hand needs.
For the same reason there are no hashes: with them pip would refuse both the CPU build of torch,
which is another file of another version name, and every package that is not in the lock.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from dc2lib.files import atomic_write

ROOT = Path(__file__).resolve().parents[1]
LOCK = ROOT / "requirements.lock"
HEADER = "# Written by `make lock` from pyproject.toml: exact versions, every extra included.\n"
LEFT_OUT = re.compile(r"(pip|setuptools|wheel|(nvidia|cuda|triton)(-[\w-]+)?)==")
COMMAND = ("compile", "pyproject.toml", "--all-extras", "--python", sys.executable,
           "--no-header", "--no-annotate", "--quiet", "--output-file")


def locked(resolved: str) -> str:
    """Return the lock file of what uv resolved, local version suffixes removed."""
    lines = [line.split("+")[0] for line in resolved.splitlines() if not LEFT_OUT.match(line)]
    return HEADER + "\n".join(lines) + "\n"


def main() -> int:
    """Write the lock file of this repository."""
    with tempfile.TemporaryDirectory() as folder:
        resolved = Path(shutil.copy(LOCK, folder))
        ended = subprocess.run(
            [sys.executable, "-m", "uv", "pip", *COMMAND, str(resolved)], cwd=ROOT, check=False
        )
        if ended.returncode:
            return ended.returncode
        text = locked(resolved.read_text())
    with atomic_write(LOCK) as unfinished:
        unfinished.write_text(text)
    print(f"{len(text.splitlines()) - 1} packages locked")
    return 0


if __name__ == "__main__":
    sys.exit(main())
