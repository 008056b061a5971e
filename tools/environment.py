"""Create ``.venv`` from the lock file; do nothing where it already holds that lock, here.

Runs under the system's Python before anything is installed: standard library only.  A stamp in the
environment says which lock it holds, for which Python, and where it was made.  An environment that
is half-made, broken or of another Python is made anew; one that was moved or copied with its
folder is told where it lies now.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INGREDIENTS = ("requirements.lock", "pyproject.toml")
OLDEST = (3, 11)
STAMP = ".dc2lib-lock"
LONGEST_SHEBANG = 120
MADE_WITH = (
    "the platforms with ready-made packages are Linux with glibc 2.28 or newer, on x86-64 and ARM, "
    "and macOS 14 or newer on Apple silicon"
)
REACHING = (  # of pip's settings: how packages are reached, and nothing of what goes where
    "CACHE_DIR", "CERT", "CLIENT_CERT", "CONFIG_FILE", "CONSTRAINT", "DEFAULT_TIMEOUT",
    "EXTRA_INDEX_URL", "FIND_LINKS", "INDEX_URL", "KEYRING_PROVIDER", "NO_CACHE_DIR", "NO_INDEX",
    "PROXY", "RETRIES", "TIMEOUT", "TRUSTED_HOST",
)  # fmt: skip
CHECK = """
import pathlib, sys
from importlib import metadata, util
root, *wanted = sys.argv[1:]
for line in wanted:
    name, version = line.split("==")
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        sys.exit(f"{name} is not in the environment")
    if found.partition("+")[0] != version:
        sys.exit(f"{name} is {found}, not {version}")
for name in ("dc2lib", "dc2book"):
    spec = util.find_spec(name)
    if spec is None or pathlib.Path(root) not in pathlib.Path(spec.origin).resolve().parents:
        sys.exit(f"{name} is not that of {root}")
"""


def environment_hash(root: Path) -> str:
    """Return the SHA-256 of what the environment is made from."""
    digest = hashlib.sha256()
    for name in INGREDIENTS:
        digest.update((root / name).read_bytes())
    return digest.hexdigest()


def make_environment(root: Path) -> None:
    """Have the lock file and this folder's dc2lib in a virtual environment that works."""
    venv = root / ".venv"
    python = venv / "bin" / "python"
    wanted = (environment_hash(root), python_version(python), str(root))
    held = _stamp(venv)
    if held == wanted and not _touched(venv):
        return
    moved = held[2] not in ("", str(root))
    if not _has_pip(python) or (moved and not _fits_a_script(python)):
        again = " anew" if venv.exists() else ""
        print(f"creating {venv}{again} with Python {sys.version.split()[0]}", flush=True)
        _run([sys.executable, "-I", "-m", "venv", "--clear", str(venv)])
        held = _stamp(venv)
    elif moved:
        print(f"{venv} was made in {held[2]}: it is told where it lies now", flush=True)
        relocate(venv, held[2], str(root))
    if held[:2] != wanted[:2] or problem(python, root):
        _install(python, root)
    stamp = [environment_hash(root), python_version(python), str(root)]
    partial = venv / f"{STAMP}.part"
    partial.write_text("\n".join([*stamp, ""]), encoding="utf-8")
    os.utime(partial, ns=(_packages_time(venv),) * 2)
    os.replace(partial, venv / STAMP)


def _install(python: Path, root: Path) -> None:
    print("installing the versions of requirements.lock (minutes the first time)", flush=True)
    pip = [str(python), "-I", "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    _run([*pip, "-r", str(root / "requirements.lock")])
    _run([*pip, "--no-deps", "-e", str(root)])
    wrong = problem(python, root)
    if wrong:
        sys.exit(
            f"environment: after the installation {wrong}; do pip's own settings send packages "
            f"elsewhere? See `{python} -m pip config list`"
        )


def _has_pip(python: Path) -> bool:
    """Whether an environment has a Python that runs and a pip; a half-made one has not."""
    with suppress(OSError):
        asked = [str(python), "-I", "-m", "pip", "--version"]
        return not subprocess.run(asked, capture_output=True, check=False).returncode
    return False


def _fits_a_script(python: Path) -> bool:
    """Whether the first line of a script can name this interpreter."""
    return " " not in str(python) and len(str(python)) < LONGEST_SHEBANG


def _touched(venv: Path) -> bool:
    """Whether packages came or went since the stamp was written, which has their time."""
    return _packages_time(venv) != (venv / STAMP).stat().st_mtime_ns


def _packages_time(venv: Path) -> int:
    """When a package last came or went, in ns, by a clock that may have been set back since."""
    sites = venv.glob("lib/python*/site-packages")
    return max((site.stat().st_mtime_ns for site in sites), default=0)


def python_version(python: Path) -> str:
    """Return the version of an interpreter, such as 3.11; empty where it does not run."""
    asked = [str(python), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        ended = subprocess.run(asked, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True, check=False)
    except OSError:
        return ""
    return "" if ended.returncode else ended.stdout.strip()


def problem(python: Path, root: Path) -> str:
    """Return what an environment lacks of the lock and of this folder's code; empty if nothing."""
    lines = (root / "requirements.lock").read_text(encoding="utf-8").splitlines()
    wanted = [line.split()[0] for line in lines if "==" in line and not line.startswith("#")]
    ended = subprocess.run([str(python), "-I", "-c", CHECK, str(root), *wanted], check=False,
                           stderr=subprocess.PIPE, text=True)
    return ended.stderr.strip() if ended.returncode else ""


def relocate(venv: Path, old: str, new: str) -> None:
    """Replace the place where an environment was made in its scripts and its link to dc2lib."""
    links = venv.glob("lib/python*/site-packages/__editable__*")
    for file in [venv / "pyvenv.cfg", *(venv / "bin").iterdir(), *links]:
        if file.is_symlink() or not file.is_file():
            continue
        content = file.read_bytes()
        if b"\0" in content or old.encode() not in content:
            continue
        partial = file.with_name(f".{file.name}.part")
        partial.write_bytes(content.replace(f"{old}/".encode(), f"{new}/".encode()))
        shutil.copymode(file, partial)
        os.replace(partial, file)


def _stamp(venv: Path) -> "tuple[str, str, str]":
    """Hash of the lock, version of Python and place that an environment was made for."""
    lines = []
    with suppress(OSError, UnicodeDecodeError):
        lines = (venv / STAMP).read_text(encoding="utf-8").splitlines()
    lock, version, place, *_ = [*lines, "", "", ""]
    return lock, version, place


def _run(command: "list[str]") -> None:
    ended = subprocess.run(command, check=False, env=clean_environment(os.environ))
    if ended.returncode == 0:
        return
    if "venv" in command:
        hint = "on Debian and Ubuntu: apt install python3-venv, then run the same command again"
    else:
        hint = (
            "see pip's message above. A proxy, mirror or company certificate is set in pip's own "
            f"configuration (PIP_PROXY, PIP_INDEX_URL, PIP_CERT); {MADE_WITH}"
        )
    sys.exit(f"environment: `{' '.join(command)}` failed ({hint})")


def clean_environment(given: "os._Environ[str] | dict[str, str]") -> "dict[str, str]":
    """Return the variables without Python's, and of pip's only those about reaching packages."""
    return {
        name: value for name, value in given.items()
        if not name.startswith(("PYTHON", "PIP_")) or name.removeprefix("PIP_") in REACHING
    }


def main() -> None:
    """Make the environment of this repository; a second process waits until it is there."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"environment: Python {sys.version.split()[0]} at {sys.executable} is too old; "
            "this project needs Python 3.11 or newer. Install one, or name it: "
            "make book PYTHON=/path/to/python3.11"
        )
    with open(__file__, "rb") as lock:
        with suppress(OSError):  # a file system without locks
            fcntl.flock(lock, fcntl.LOCK_EX)
        make_environment(ROOT)


if __name__ == "__main__":
    main()
