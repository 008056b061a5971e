"""Create ``.venv`` from the lock file; do nothing when it already holds that lock.

Runs under the system's Python before anything is installed: standard library only.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INGREDIENTS = ("requirements.lock", "pyproject.toml")
OLDEST = (3, 11)


def environment_hash(root: Path) -> str:
    """Return the SHA-256 of what the environment is made from."""
    digest = hashlib.sha256()
    for name in INGREDIENTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def is_current(venv: Path, wanted: str) -> bool:
    """Return whether the stamp in an environment names the wanted hash."""
    stamp = venv / ".dc2lib-lock"
    return stamp.exists() and stamp.read_text().strip() == wanted


def make_environment(root: Path) -> None:
    """Create the virtual environment if missing and install the lock file and dc2lib into it."""
    venv = root / ".venv"
    wanted = environment_hash(root)
    if is_current(venv, wanted):
        return
    python = venv / "bin" / "python"
    if not python.exists():
        print(f"creating {venv} with Python {sys.version.split()[0]}", flush=True)
        _run([sys.executable, "-m", "venv", str(venv)])
    print("installing the versions of requirements.lock (minutes the first time)", flush=True)
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "-r", str(root / "requirements.lock")])
    _run([*pip, "--no-deps", "-e", str(root)])
    partial = venv / ".dc2lib-lock.part"
    partial.write_text(wanted + "\n")
    os.replace(partial, venv / ".dc2lib-lock")


def _run(command: "list[str]") -> None:
    ended = subprocess.run(command, check=False)
    if ended.returncode == 0:
        return
    hint = (
        "on Debian and Ubuntu: apt install python3-venv"
        if "venv" in command
        else "see pip's message above; a proxy or mirror is set in pip's own configuration"
    )
    sys.exit(f"environment: `{' '.join(command)}` failed ({hint})")


def main() -> None:
    """Make the environment of this repository."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"environment: Python {sys.version.split()[0]} at {sys.executable} is too old; "
            "this project needs Python 3.11 or newer. Install one, or name it: "
            "make book PYTHON=/path/to/python3.11"
        )
    make_environment(ROOT)


if __name__ == "__main__":
    main()
