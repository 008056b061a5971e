"""What a chapter's kernel and Sphinx are given of the shell's variables.

A result is kept under the hash of all that decides it, and a reader's settings are not in that
hash.  So nothing passes but what finds programs, folders, devices and the network.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KEPT = {
    "PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
    "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "CUDA_VISIBLE_DEVICES", "OPENBLAS_CORETYPE",
    "OPENBLAS_L2_SIZE", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
    "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
}  # fmt: skip
KEPT_BEGINNINGS = ("DC2LIB_", "MALLOC_")
THREADED = ("OMP_NUM", "OPENBLAS_NUM", "MKL_NUM", "NUMEXPR_NUM", "NUMBA_NUM", "VECLIB_MAXIMUM",
            "BLIS_NUM")


def surroundings(settings: Path, given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the variables for a process whose output must not depend on who starts it.

    Text is UTF-8, a library has one thread (sums of more differ in their last digits), the code is
    that of this checkout, and a relative ``DC2LIB_DATA`` is taken from where the command was given.
    ``settings``: folder that takes the place of those with the reader's own settings.
    """
    kept = {
        name: value for name, value in given.items()
        if name.upper() in KEPT or name.startswith(KEPT_BEGINNINGS)
    }
    if kept.get("DC2LIB_DATA"):
        kept["DC2LIB_DATA"] = str(Path(kept["DC2LIB_DATA"]).expanduser().absolute())
    return {
        **kept,
        "IPYTHONDIR": str(settings / "ipython"),
        "JUPYTER_CONFIG_DIR": str(settings / "jupyter"),
        "JUPYTER_DATA_DIR": str(settings / "jupyter"),
        "JUPYTER_PREFER_ENV_PATH": "1",
        "LC_ALL": "C.UTF-8",
        "MATPLOTLIBRC": str(_matplotlib() / "mpl-data" / "matplotlibrc"),
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "book"))),
        "PYTHONUTF8": "1",
        "XDG_CONFIG_HOME": str(settings),
        **{f"{name}_THREADS": "1" for name in THREADED},
    }


def _matplotlib() -> Path:
    """Folder of matplotlib, which is not imported: that would read the reader's settings."""
    return Path(importlib.util.find_spec("matplotlib").submodule_search_locations[0])
