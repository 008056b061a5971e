"""Execute one chapter with papermill into a folder that appears only when it is whole.

Run as ``python -m tools.chapter`` with a job as JSON on standard input, so that chapters can run
side by side; what went wrong goes to standard output, the kernel's own messages to standard error.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import nbformat
from traitlets.config import Config

from tools.chapters import Chapter, line_of_cell, read_chapter
from tools.children import end_with, stop_when_told
from tools.errors import BuildError
from tools.surroundings import surroundings
from tools.validation import file_digests, problems

TRACEBACK_LINES = 25
PATIENCE_S = 180
SETTINGS = "settings"


@dataclass(frozen=True)
class Job:
    """One execution of one chapter.

    ``name, source``: the chapter and its Markdown file. ``parameters``: to inject. ``key``: hash of
    all that the outputs depend on; the result lies in ``folder`` / key. ``folder``: where this
    chapter's executions are kept. ``context``: profile, data source and fingerprint, for the
    recorded results. ``needs``: chapters whose recorded results it reads. ``inputs``: those
    results, once they are there.
    """

    name: str
    source: str
    parameters: dict[str, Any]
    key: str
    folder: str
    context: dict[str, Any]
    needs: list[str]
    inputs: list[dict[str, Any]] | None = None

    @property
    def target(self) -> Path:
        """Folder of the finished execution."""
        return Path(self.folder) / self.key[:16]

    def dumps(self) -> str:
        """Return the job as JSON."""
        return json.dumps(asdict(self))


def execute(job: Job) -> Path:
    """Execute a chapter, check it, and return the folder of the result.

    BuildError if a cell fails or the executed chapter may not be shown; nothing is left behind.
    """
    target = job.target
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    partial.mkdir(parents=True)
    try:
        _execute_into(job, partial)
        _publish(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return target


def _execute_into(job: Job, folder: Path) -> None:
    import papermill
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    chapter = read_chapter(job.name, Path(job.source))
    started, begin = time.time(), time.monotonic()
    run = {**_run(chapter, job), "started": started}
    (folder / "run.json").write_text(json.dumps(run, indent=1), encoding="utf-8")
    if job.inputs is not None:
        (folder / "inputs.json").write_text(json.dumps(job.inputs), encoding="utf-8")
    (folder / "results.jsonl").touch()
    work = folder / "data"
    work.mkdir()
    (folder / SETTINGS).mkdir()
    source = folder / "source.ipynb"
    executed = folder / "executed.ipynb"
    nbformat.write(chapter.notebook, source)
    try:
        with (
            mock.patch.dict(os.environ, _environment(folder), clear=True),
            warnings.catch_warnings(),
            _kernel_sockets() as sockets,
        ):
            warnings.simplefilter("ignore")
            papermill.execute_notebook(
                source, executed, parameters=job.parameters, kernel_name="python3", cwd=work,
                progress_bar=False, start_timeout=PATIENCE_S, iopub_timeout=PATIENCE_S,
                raise_on_iopub_timeout=True, config=sockets,
            )  # fmt: skip
    except CellTimeoutError as error:
        raise BuildError(
            f"{chapter.source}: a cell ended, but its output did not come within {PATIENCE_S} s; "
            "build again when the machine is less busy"
        ) from error
    except DeadKernelError as error:
        raise BuildError(
            f"{chapter.source}: the kernel died; most often the machine ran out of memory"
        ) from error
    except PapermillExecutionError as error:
        raise BuildError(_failed_cell(chapter, executed, error)) from error
    except RuntimeError as error:
        raise BuildError(
            f"{chapter.source}: the kernel did not start, or did not end in order: {error}; build "
            "again, and if it stays so, see what 'python -m ipykernel_launcher' says"
        ) from error
    run["duration"] = time.monotonic() - begin
    (folder / "run.json").write_text(json.dumps(run, indent=1), encoding="utf-8")
    _stamp(executed, chapter, run)
    source.unlink()
    shutil.rmtree(folder / SETTINGS, ignore_errors=True)
    if not any(work.iterdir()):
        work.rmdir()
    found = problems(folder, job.parameters, job.key)
    if found:
        raise BuildError("\n".join([f"{chapter.source}: may not be shown", *found]))
    run["files"] = file_digests(folder)
    (folder / "run.json").write_text(json.dumps(run, indent=1), encoding="utf-8")


def _run(chapter: Chapter, job: Job) -> dict[str, Any]:
    parameters = {**chapter.parameters, **job.parameters}
    seeds = {name: value for name, value in parameters.items() if name.startswith("seed")}
    return {
        "chapter": job.name,
        **job.context,
        "parameters": parameters,
        "seeds": seeds,
        "hash": job.key,
    }


def _environment(folder: Path) -> Mapping[str, str]:
    return {
        **surroundings(folder / SETTINGS),
        "DC2LIB_RESULTS": str(folder / "results.jsonl"),
        "MPLBACKEND": "module://matplotlib_inline.backend_inline",
    }


@contextmanager
def _kernel_sockets() -> Iterator[Config]:
    """Let the kernel be reached through Unix sockets in a folder of its own.

    A port is chosen, let go and bound by the kernel a moment later; where another process takes
    it in between, the kernel neither answers nor ends. The folder is short-named, since the path
    of a socket may have no more than 103 characters.
    """
    with tempfile.TemporaryDirectory(prefix="dc2-", dir="/tmp") as folder:
        connection = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
        yield Config(KernelManager=connection)


def _stamp(path: Path, chapter: Chapter, run: Mapping[str, Any]) -> None:
    notebook = nbformat.read(path, as_version=4)
    about = notebook.metadata.papermill
    about.input_path = f"book/{chapter.source.name}"
    about.output_path = f"{chapter.name}.ipynb"
    notebook.metadata["dc2lib_run"] = dict(run)
    hidden: list[str] = []
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags:
            hidden = [tag for tag in tags if tag.startswith("remove-")]
        if "injected-parameters" in tags:
            tags += hidden or ["hide-input"]
            cell.metadata["mystnb"] = {"code_prompt_show": "Show the parameters of this build"}
        if "solution" in tags:
            cell.metadata["jupyter"] = {"source_hidden": True, "outputs_hidden": True}
    nbformat.write(notebook, path)


def _failed_cell(chapter: Chapter, executed: Path, error: Any) -> str:
    """Say which cell failed and where it stands in the source, with the end of its traceback."""
    index = _source_index(executed, error.cell_index)
    cell = chapter.notebook.cells[index]
    number = sum(c.cell_type == "code" for c in chapter.notebook.cells[: index + 1])
    line = line_of_cell(chapter, index)
    ending = "\n".join(error.traceback).splitlines()[-TRACEBACK_LINES:]
    return "\n".join(
        [
            f"{chapter.source}:{line}: code cell {number} raised {error.ename}: {error.evalue}",
            f"  the cell begins: {(cell.source.splitlines() or [''])[0]}",
            *(re.sub(r"\x1b\[[0-9;]*m", "", text) for text in ending),
        ]
    )


def _source_index(executed: Path, index: int) -> int:
    """Turn the index of an executed cell into that of the source: papermill adds one cell."""
    tags = [c.metadata.get("tags", []) for c in nbformat.read(executed, as_version=4).cells]
    own = [cell for cell in tags if "papermill-error-cell-tag" not in cell]
    return index - sum("injected-parameters" in cell for cell in own[:index])


def _publish(partial: Path, target: Path) -> None:
    if target.exists():
        shutil.rmtree(target)
    os.replace(partial, target)


def main() -> int:
    """Execute the job on standard input; the process that started this one may be an argument."""
    stop_when_told(with_children=True)
    end_with(int(sys.argv[1]) if sys.argv[1:] else os.getppid())
    job = Job(**json.load(sys.stdin))
    try:
        execute(job)
    except (BuildError, OSError) as error:
        print(error if isinstance(error, BuildError) else f"{job.folder}: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
