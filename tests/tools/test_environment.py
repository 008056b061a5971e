"""The environment is made once for each lock file."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools import environment

ROOT = Path(__file__).resolve().parents[2]


PIP = """
import os, pathlib, shutil, sys, sysconfig
root = pathlib.Path(__file__).parents[5]
site = pathlib.Path(sysconfig.get_path("purelib"))
if "install" in sys.argv:
    with open(root / "asked", "a") as asked:
        print(*sys.argv[1:], file=asked)
(root / "variables").write_text(repr(dict(os.environ)))
if "-e" in sys.argv and not (root / "elsewhere").exists():
    (site / "__editable__.dc2lib.pth").write_text(f"{root}/\\n{root}/book/\\n")
    for old in site.glob("one-*"):
        shutil.rmtree(old)
    for name in (root / "requirements.lock").read_text().split():
        about = site / f"{name.replace('==', '-')}.dist-info"
        about.mkdir(exist_ok=True)
        (about / "METADATA").write_text("Metadata-Version: 2.1\\nName: {}\\nVersion: {}"
                                        .format(*name.split("==")))
"""


def bare(venv, *options):
    """A real environment without pip: what is left where Debian's python3-venv is missing."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", *options, venv], check=True)
    return next(venv.glob("lib/python*/site-packages"))


def with_pip(venv):
    """A real environment, and a pip that reaches no network and writes down what it is asked."""
    package = bare(venv, "--clear") / "pip"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(PIP)
    script = venv / "bin" / "pip"
    script.write_text(f"#!{venv}/bin/python\nimport dc2lib\nprint(dc2lib.__file__)\n")
    script.chmod(0o755)


@pytest.fixture
def root(tmp_path, monkeypatch):
    run = environment._run

    def without_ensurepip(command):
        if "venv" in command:
            with_pip(Path(command[-1]))
        else:
            run(command)

    monkeypatch.setattr(environment, "_run", without_ensurepip)
    root = tmp_path / "checkout"
    for package in ("dc2lib", "book/dc2book"):
        (root / package).mkdir(parents=True)
        (root / package / "__init__.py").touch()
    (root / "pyproject.toml").touch()
    (root / "requirements.lock").write_text("one==1.0\n")
    return root


def installations(root):
    asked = root / "asked"
    return asked.read_text().splitlines() if asked.exists() else []


def library(root):
    """The file of the library that the environment's own Python and scripts import."""
    python = [f"{root}/.venv/bin/python", "-c", "import dc2lib; print(dc2lib.__file__)"]
    says = [subprocess.run(command, capture_output=True, text=True, check=True, cwd="/").stdout
            for command in (python, [f"{root}/.venv/bin/pip"])]
    assert says[0] == says[1]
    return Path(says[0].strip())


def test_a_second_call_installs_nothing(root):
    environment.make_environment(root)
    made = installations(root)
    assert library(root) == root / "dc2lib" / "__init__.py"
    environment.make_environment(root)
    assert installations(root) == made


def test_a_changed_lock_is_installed(root):
    environment.make_environment(root)
    before = len(installations(root))
    (root / "requirements.lock").write_text("one==2.0\n")
    environment.make_environment(root)
    assert len(installations(root)) > before


def test_an_interrupted_installation_is_not_taken_for_whole(root, monkeypatch):
    def fail(command):
        sys.exit("no network")

    with monkeypatch.context() as patch:
        with_pip(root / ".venv")
        patch.setattr(environment, "_run", fail)
        with pytest.raises(SystemExit):
            environment.make_environment(root)
    environment.make_environment(root)
    assert library(root).is_relative_to(root)


def test_a_checkout_that_moved_runs_its_own_library(root):
    environment.make_environment(root)
    copied = root.with_name("copy")
    shutil.copytree(root, copied, symlinks=True)
    environment.make_environment(copied)
    assert library(copied) == copied / "dc2lib" / "__init__.py"
    assert library(root) == root / "dc2lib" / "__init__.py"
    renamed = copied.rename(root.with_name("renamed"))
    environment.make_environment(renamed)
    assert library(renamed) == renamed / "dc2lib" / "__init__.py"
    assert installations(renamed) == installations(root), "a move needs no network"
    spaced = renamed.rename(root.with_name("with space"))
    environment.make_environment(spaced)  # anew: no script can name this Python in its first line
    assert len(installations(spaced)) == 2 * len(installations(root))


def broken_without_pip(venv):
    bare(venv, "--clear")


def broken_by_an_upgrade_of_the_base(venv):
    for python in venv.glob("bin/python*"):
        python.unlink()
    (venv / "bin" / "python").symlink_to("/usr/bin/python3.0-that-was")


def broken_by_another_machine(venv):
    (venv / "bin" / "python").unlink()
    (venv / "bin" / "python").write_bytes(b"\x7fELF of another processor")
    (venv / "bin" / "python").chmod(0o755)


def broken_by_pip_uninstall(venv):
    shutil.rmtree(next(venv.glob("lib/python*/site-packages/one-1.0.dist-info")))


def broken_by_another_version(venv):
    site = next(venv.glob("lib/python*/site-packages"))
    (site / "one-1.0.dist-info").rename(site / "one-1.1.dist-info")
    about = site / "one-1.1.dist-info" / "METADATA"
    about.write_text(about.read_text().replace("1.0", "1.1"))


def test_a_broken_environment_repairs_itself(root):
    environment.make_environment(root)
    for broken in (
        broken_by_pip_uninstall, broken_by_another_version, broken_without_pip,
        broken_by_an_upgrade_of_the_base, broken_by_another_machine,
    ):  # fmt: skip
        broken(root / ".venv")
        environment.make_environment(root)
        assert library(root) == root / "dc2lib" / "__init__.py", broken
        assert environment.problem(root / ".venv" / "bin" / "python", root) == "", broken


def test_the_clock_was_set_back_before_a_package_was_removed(root):
    environment.make_environment(root)
    (site,) = root.glob(".venv/lib/python*/site-packages")
    for place in (site, root / ".venv" / environment.STAMP):
        os.utime(place, (4e9, 4e9))
    environment.make_environment(root)
    made = len(installations(root))
    shutil.rmtree(site / "one-1.0.dist-info")
    environment.make_environment(root)
    assert len(installations(root)) > made


def test_a_base_python_of_another_version_makes_the_environment_anew(root):
    places = [*os.environ["PATH"].split(":"), *Path.home().glob(".pyenv/versions/*/bin")]
    pythons = [one for place in places for one in Path(place).glob("python3.1[1-9]")]
    versions = {environment.python_version(one): one for one in pythons}
    own = ".".join(map(str, sys.version_info[:2]))
    other = next((one for version, one in versions.items() if version not in ("", own)), None)
    if other is None:
        pytest.skip("no second Python here")
    environment.make_environment(root)
    before = len(installations(root))
    for python in root.glob(".venv/bin/python*"):
        python.unlink()
    (root / ".venv" / "bin" / "python").symlink_to(os.path.realpath(other))
    environment.make_environment(root)
    assert len(installations(root)) > before
    assert library(root) == root / "dc2lib" / "__init__.py"


def test_settings_of_pip_and_python_do_not_say_where_packages_go(root, monkeypatch):
    elsewhere = {"PIP_TARGET", "PIP_USER", "PIP_NO_DEPS", "PYTHONPATH"}
    for name in {"PIP_PROXY", *elsewhere}:
        monkeypatch.setenv(name, str(root / "elsewhere"))
    environment.make_environment(root)
    given = eval((root / "variables").read_text())
    assert "PIP_PROXY" in given
    assert not elsewhere & set(given)


def test_packages_that_went_elsewhere_are_missed(root):
    (root / "elsewhere").touch()
    with pytest.raises(SystemExit, match=r"one is not in the environment.*pip config list"):
        environment.make_environment(root)


def test_two_at_once_install_once(root):
    (root / "tools").mkdir()
    script = shutil.copy(environment.__file__, root / "tools")
    with_pip(root / ".venv")
    both = [subprocess.Popen([sys.executable, script]) for _ in range(2)]
    assert [one.wait() for one in both] == [0, 0]
    assert len(installations(root)) == 2


def test_an_old_python_is_refused(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 10, 1))
    with pytest.raises(SystemExit, match=r"needs Python 3\.11 or newer"):
        environment.main()


def test_the_lock_satisfies_every_declared_range():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    declared = [*project["dependencies"], *(line for extra in extras for line in extra)]
    lines = (ROOT / "requirements.lock").read_text().splitlines()[1:]
    locked = {canonicalize_name(need.name): need for need in map(Requirement, lines)}
    for need in map(Requirement, declared):
        version = next(iter(locked[canonicalize_name(need.name)].specifier)).version
        assert need.specifier.contains(version, prereleases=True), need


def test_the_lock_names_no_local_or_cuda_build():
    text = (ROOT / "requirements.lock").read_text()
    assert "torch==2.13.0\n" in text
    assert "+" not in text
    assert not re.search("^(nvidia|triton|pip==|setuptools==)", text, re.MULTILINE)
