"""Time each stage of the library against the plain way of doing it: ``make bench``.

Results go to ``_build/bench.json``; stages that are named replace their rows there and leave the
others. Nothing here is a test: no time is ever asserted.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import pkgutil
import platform
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch
from tools.bench.harness import Row, Stage, Task

import tools.bench
from dc2lib.datasets.simulated import simulate
from dc2lib.files import atomic_write

OUTPUT = Path("_build") / "bench.json"
PACKAGES = ("torch", "numpy", "pyarrow", "scikit-learn")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages that are named, or all, and write the table."""
    stages = find_stages()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help=f"stages, of {', '.join(stages)}; default all")
    parser.add_argument("--pairs", type=int, default=5, help="runs of each way (default 5)")
    parser.add_argument("--genes", type=int, default=19_802, help="genes of the cell type")
    options = parser.parse_args(arguments)
    unknown = set(options.names) - set(stages)
    if unknown:
        parser.error(f"no stage {', '.join(sorted(unknown))}; there are {', '.join(stages)}")
    chosen = [stages[name] for name in options.names or stages]
    dataset = simulate(n_cells=1, n_genes=options.genes, seed=0).datasets["S001"]
    about = machine() | {"genes": options.genes, "pairs": options.pairs}
    with tempfile.TemporaryDirectory() as folder:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            for stage in chosen:
                if threads not in stage.threads:
                    continue
                rows = stage.measure(Task(dataset, Path(folder), options.pairs, threads))
                rows = [rows] if isinstance(rows, Row) else rows
                for row in rows:
                    print(line(row), flush=True)
                keep(rows, about)
    print(f"written to {OUTPUT}")


def find_stages() -> dict[str, Stage]:
    """Every stage of the modules in this folder, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(tools.bench.__path__))
    modules = [importlib.import_module(f"tools.bench.{name}") for name in names
               if not name.startswith("_")]
    return {stage.name: stage for module in modules for stage in getattr(module, "STAGES", ())}


def machine() -> dict[str, object]:
    """Processor, cores, memory, accelerator, load by other work, and versions of this machine."""
    accelerator = torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": round(memory, 1),
        "accelerator": accelerator,
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {package: version(package) for package in PACKAGES},
    }


def line(row: Row) -> str:
    """A row of the table, for the terminal."""
    plain = "" if row.plain is None else f"  plain {row.plain:12,.1f}"
    ratio = "" if row.ratio is None else f"  ratio {row.ratio:8.1f}"
    share = "" if row.share_of_limit is None else f"  {row.share_of_limit:.0%} of the limit"
    ours = "not measured" if row.ours is None else f"{row.ours:12,.1f}"
    return f"{row.name:18} {row.threads} thread(s)  ours {ours}{plain} " \
           f"{row.unit:12}{ratio}{share}"


def keep(rows: Sequence[Row], about: dict[str, object]) -> None:
    """Put rows into the table, in place of older ones of the same stage and threads.

    The name of a stage's row may go on after a colon.
    """
    now = datetime.now(UTC).isoformat(timespec="seconds")
    new = [{**asdict(row), "genes": about["genes"], "measured": now} for row in rows]
    replaced = {_stage_of(row) for row in new}
    kept = []
    if OUTPUT.exists():
        kept = json.loads(OUTPUT.read_text(encoding="utf-8"))["rows"]
    table = [row for row in kept if _stage_of(row) not in replaced] + new
    content = {"about": about | {"date": now}, "rows": table}
    with atomic_write(OUTPUT) as unfinished:
        unfinished.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _stage_of(row: Mapping[str, object]) -> tuple[str, object]:
    return str(row["name"]).partition(":")[0], row["threads"]


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for text in info.read_text(encoding="utf-8").splitlines():
            if text.startswith("model name"):
                return text.partition(":")[2].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
