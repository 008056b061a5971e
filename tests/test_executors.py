"""Jobs on any executor: an outcome for each, whatever happens to the workers."""

import os
import subprocess
import sys
import time
from concurrent.futures import BrokenExecutor, Executor, Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from killed_jobs import die_always, die_once, one_more

from dc2lib.errors import DataError
from dc2lib.training import executors as engine
from dc2lib.training.executors import outcomes


class Unsteady(Executor):
    """Runs jobs at once; loses those whose number of calls so far is in `lost`."""

    def __init__(self, lost, error):
        self.calls, self.lost, self.error = 0, lost, error

    def submit(self, function, /, *args):
        future = Future()
        self.calls += 1
        if self.calls in self.lost:
            future.set_exception(self.error)
            return future
        try:
            future.set_result(function(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class KilledWorker(Exception):  # noqa: N818 (as dask calls it)
    pass


@pytest.mark.parametrize("error", [BrokenExecutor("gone"), KilledWorker("gone")])
def test_a_lost_job_is_tried_again(error):
    unsteady = Unsteady({1, 3}, error)
    results = sorted(outcomes(one_more, [(1,), (2,)], executor=unsteady))
    assert [one.result for one in results] == [2, 3] and unsteady.calls == 4


def test_an_error_of_the_job_is_not_tried_again():
    unsteady = Unsteady(set(), None)
    results = sorted(outcomes(one_more, [("text",), (2,)], executor=unsteady))
    assert isinstance(results[0].error, TypeError) and unsteady.calls == 2


def test_a_killed_process_loses_nothing(tmp_path):
    jobs = [(tmp_path / "0", False), (tmp_path / "1", True), (tmp_path / "2", False)]
    results = sorted(outcomes(die_once, jobs, workers=2))
    assert [one.result for one in results] == ["0", "1", "2"]
    assert (tmp_path / "1").exists()


def test_a_job_that_kills_every_process_is_reported_and_the_others_are_done(tmp_path):
    jobs = [(tmp_path / "0", False), (tmp_path / "no" / "such" / "folder", True)]
    results = sorted(outcomes(die_always, jobs, workers=2))
    assert results[0].result == "0" and isinstance(results[1].error, BrokenExecutor)


def test_one_worker_is_this_process():
    assert list(outcomes(os.getpid, [()], workers=4)) == [(0, os.getpid(), None)]
    assert list(outcomes(one_more, [])) == []


def test_the_number_of_workers_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("DC2LIB_WORKERS", "2")
    monkeypatch.setattr(engine, "Processes", ThreadPoolExecutor)
    results = sorted(outcomes(one_more, [(1,), (2,), (3,)]))
    assert results == [(0, 2, None), (1, 3, None), (2, 4, None)]


DRIVER = """
import sys
from pathlib import Path
sys.path[:0] = {path!r}
from killed_jobs import compute_for_long
from dc2lib.training.executors import outcomes
if __name__ == "__main__":
    list(outcomes(compute_for_long, [(Path({folder!r}) / str(n),) for n in range(2)], workers=2))
"""


def test_workers_end_with_a_driver_that_is_killed(tmp_path):
    script = tmp_path / "driver.py"
    path = [str(Path(__file__).parent)]
    script.write_text(DRIVER.format(path=path, folder=str(tmp_path)))
    with subprocess.Popen([sys.executable, str(script)]) as driver:
        files = [tmp_path / "0", tmp_path / "1"]
        while not all(file.exists() and file.read_text() for file in files):
            assert driver.poll() is None
            time.sleep(0.05)
        workers = [psutil.Process(int(file.read_text())) for file in files]
        driver.kill()
    assert not psutil.wait_procs(workers, timeout=600)[1]


@pytest.mark.parametrize("number", ["0", "-3", "two", ""])
def test_a_number_of_workers_that_is_none_is_refused(monkeypatch, number):
    monkeypatch.setenv("DC2LIB_WORKERS", number)
    with pytest.raises(DataError, match="DC2LIB_WORKERS"):
        list(outcomes(one_more, [(1,)]))
