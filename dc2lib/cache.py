"""Results that are computed once and kept on disk, under the digest of all that decides them.

`cached` is the whole of it for its users: code, settings and data go into the name of a file, so a
result is computed again exactly when one of them changed.  `code_digest` finds the code by the
import statements; no list of files is kept by hand.  `write_checkpoint` and `resume` keep how far
a computation has come.

>>> import tempfile
>>> with tempfile.TemporaryDirectory() as home:
...     for _ in range(2):
...         found = cached("squares", {"n": 3}, lambda: {"square": np.arange(3) ** 2},
...                        code="dc2lib.errors", home=home)
>>> found["square"].tolist()
[0, 1, 4]
"""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import json
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, is_dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dc2lib.errors import DataError
from dc2lib.files import atomic_write, computed_home, data_home

NAME = "kept_as"  # in a kept file: its own name
LEFT_OUT = (
    "dc2lib.cache", "dc2lib.datasets", "dc2lib.errors", "dc2lib.files", "dc2lib.training.executors"
)


def cached(
    kind: str,
    settings: Mapping[str, Any],
    compute: Callable[[], Mapping[str, Any]],
    *,
    code: str | tuple[str, ...],
    without: tuple[str, ...] = (),
    home: Path | str | None = None,
) -> dict[str, np.ndarray]:
    """What ``compute()`` gives, arrays, numbers and texts by name, read from disk if it was before.

    The kind is a folder below the data folder, or below ``home``, and what `make tidy` calls it.
    Settings are whatever decides the result: plain values, sequences, dataclasses, arrays (by a
    digest of their content), and data sets by their fingerprint.  For ``code``, usually
    ``__name__``, and ``without`` see `code_digest`.  Numbers and texts come back as arrays without
    axes.
    """
    path = cache_path(kind, settings, code=code, without=without, home=home)
    name = f"{kind}/{path.stem}"
    found = _read(path, name)
    if found is None:
        found = {one: np.asarray(value) for one, value in compute().items()}
        with atomic_write(path) as unfinished:
            np.savez(unfinished, **found, **{NAME: name})
    return found


def cache_path(
    kind: str,
    settings: Mapping[str, Any],
    *,
    code: str | tuple[str, ...],
    without: tuple[str, ...] = (),
    home: Path | str | None = None,
    suffix: str = ".npz",
) -> Path:
    """Where a result is kept: ``<kind>/<digest of settings and code><suffix>`` in the data folder.

    Parameters are those of `cached`; for what writes its file itself, such as a training that goes
    on from it (`write_checkpoint`).  Where the data folder cannot be written, a result that it does
    not hold has its path in `dc2lib.files.computed_home`.  Raises TypeError if a setting is of
    another kind than `cached` takes: its text might not say what it is.
    """
    modules = (code,) if isinstance(code, str) else code
    text = json.dumps(
        [settings, code_digest(*modules, without=without)], sort_keys=True, default=_plain
    )
    name = hashlib.sha256(text.encode()).hexdigest()[:32]
    place = Path(kind) / f"{name}{suffix}"
    if home is not None:
        return Path(home) / place
    shared = data_home() / place
    return shared if shared.exists() else computed_home() / place


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {"class": type(value).__qualname__, **asdict(value)}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and not value.dtype.hasobject:
        digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
        return {"dtype": value.dtype.str, "shape": value.shape, "sha256": digest}
    if hasattr(value, "detach"):  # a tensor
        return _plain(value.numpy(force=True))
    raise TypeError(
        f"{value!r} cannot name a kept result: expected plain values, dataclasses or arrays"
    )


def plain(settings: Any) -> Any:
    """Settings as JSON holds them: dataclasses by their fields, arrays and tensors by a digest."""
    return json.loads(json.dumps(settings, default=_plain))


def kept_bytes(path: Path) -> io.BytesIO | None:
    """Content of a kept file, None if there is none: what fails to be parsed then is damaged.

    Raises DataError where a file is there and cannot be read now, as on a bad network or disk.
    """
    try:
        return io.BytesIO(path.read_bytes())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise DataError(
            f"{path} cannot be read now ({error.strerror}) and was left as it is: try again, and "
            "delete it if it stays so"
        ) from error


def read_kept(
    path: Path, parse: Callable[[io.BytesIO], Any], done: str = "computed", *, remove: bool = False
) -> Any:
    """What `parse` makes of a kept file; None where there is none, or it is damaged.

    It is damaged where `parse` fails: a warning then says that it is ``done`` again, and with
    ``remove`` the file goes.
    """
    content = kept_bytes(path)
    if content is None:
        return None
    try:
        return parse(content)
    except Exception as error:  # whatever a damaged file makes NumPy meet
        warnings.warn(f"{path} is damaged ({error}): {done} again", stacklevel=4)
        if remove:
            path.unlink(missing_ok=True)
        return None


def _read(path: Path, name: str) -> dict[str, np.ndarray] | None:
    """The arrays of a kept result; nothing, with a warning, where its file is damaged or another's.

    A file that does not say its name is of an earlier version, and is taken.
    """

    def parsed(content: io.BytesIO) -> dict[str, np.ndarray]:
        with np.load(content) as arrays:
            found = {one: arrays[one] for one in arrays.files}
        if str(found.pop(NAME, name)) != name:
            raise ValueError("it is the result of other settings")
        return found

    return read_kept(path, parsed)


@cache
def code_digest(*modules: str, without: tuple[str, ...] = ()) -> str:
    """SHA-256 (hex) over the code that decides what modules compute, by their full names.

    Counted are the syntax trees of the named modules and of every module of the library that they
    import, directly or through others, also inside functions, and the data files that lie in their
    packages.  Comments, docstrings and the layout of the source do not count.

    Not entered are `dc2lib.datasets`, since the content of the data is in the key of every result
    by its fingerprint, `dc2lib.training.executors`, which brings jobs to workers, `dc2lib.files`,
    `dc2lib.errors` and this module, which change no result, and those given as ``without``, such as
    a table of all that could be computed of which one row was (name what is needed of it).  A
    package that is not entered is open to a named module inside it: the simulator's code is counted
    by naming `dc2lib.datasets.simulated.study`.  The ``__init__`` of a package does not count where
    a name is only passed on: the import leads to the module that defines the name.

    What draws, words or records must not be reached, or a changed colour would train everything
    again; a test holds the modules that compute kept results to that.  Raises ValueError if a named
    module does not exist, or an import is relative.
    """
    return digest_of(deciding_modules(modules, without))


def deciding_modules(
    modules: Iterable[str], without: Collection[str] = (), package: Path | None = None
) -> dict[str, Path]:
    """The modules that `code_digest` counts, by name; ``package`` is another folder."""
    modules = list(modules)
    tops = {"dc2lib", *(name.partition(".")[0] for name in modules)}
    folders = [package_folder(top) for top in sorted(tops)] if package is None else [package]
    known = {name: file for folder in folders for name, file in modules_of(folder).items()}
    named = set(modules)
    if missing := sorted((named | set(without)) - set(known)):
        raise ValueError(f"no module {', '.join(missing)}: expected full names of modules")
    shut = {*LEFT_OUT, *without}
    opened = named | {name.rpartition(".")[0] for name in named}
    found: set[str] = set()
    queue = list(named)
    while queue:
        name = queue.pop()
        if name in found or _nearest(name, shut) > _nearest(name, opened):
            continue
        found.add(name)
        for source, imported, _ in imports_of(_tree(known[name])):
            queue += _defining(source, imported, known)
    return {name: known[name] for name in sorted(found)}


def digest_of(modules: Mapping[str, Path]) -> str:
    """SHA-256 (hex) over the syntax trees of modules and the data files in their packages."""
    digest = hashlib.sha256()
    for name, file in modules.items():
        digest.update(f"{name}\0{_meaning(file.read_text(encoding='utf-8'))}\0".encode())
    for folder in sorted({file.parent for file in modules.values()}):
        for file in sorted(package_data(folder)):
            digest.update(f"{file.relative_to(folder)}\0".encode() + file.read_bytes() + b"\0")
    return digest.hexdigest()


def _nearest(name: str, packages: Collection[str]) -> int:
    """Length of the longest of the names that is the module or a package that holds it."""
    return max((len(one) for one in packages if f"{name}.".startswith(f"{one}.")), default=0)


def _defining(source: str, name: str | None, known: Mapping[str, Path]) -> list[str]:
    """The modules that an import statement reads: those that define the name."""
    if f"{source}.{name}" in known:
        return [f"{source}.{name}"]
    if source not in known:
        return []
    passed_on = [
        (origin, imported)
        for origin, imported, bound in imports_of(_tree(known[source]))
        if bound == name and known[source].name == "__init__.py"
    ]
    return [one for each in passed_on for one in _defining(*each, known)] or [source]


def _tree(file: Path) -> ast.Module:
    return _parsed(file.read_text(encoding="utf-8"))


@cache
def _parsed(source: str) -> ast.Module:
    return ast.parse(source)


@cache
def _meaning(source: str) -> str:
    """The syntax tree without docstrings, as text."""
    tree = ast.parse(source)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def package_folder(name: str) -> Path:
    """Folder of a package, without importing it."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ValueError(f"no package {name}: expected full names of modules")
    return Path(spec.submodule_search_locations[0])


def modules_of(package: Path) -> dict[str, Path]:
    """File of each module of a package by its full name, such as ``dc2lib.training.gan``."""
    found = {}
    for file in package.rglob("*.py"):
        parts = [package.name, *file.relative_to(package).with_suffix("").parts]
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = file
    return found


def package_data(folder: Path) -> set[Path]:
    """Files beside a package's modules and in its folders that are not packages themselves."""
    files: set[Path] = set()
    for entry in folder.iterdir():
        if entry.name.startswith((".", "__pycache__")):
            continue
        if entry.is_file() and entry.suffix not in {".py", ".pyc"}:
            files.add(entry)
        elif entry.is_dir() and not (entry / "__init__.py").exists():
            files |= package_data(entry)
    return files


def imports_of(tree: ast.AST) -> Iterator[tuple[str, str | None, str | None]]:
    """What the import statements of a module say, those inside functions included.

    ``import a.b`` gives ``("a.b", None, None)``, ``from a import b as c`` ``("a", "b", "c")``.
    Raises ValueError at a relative import, which the library has none of (ruff refuses them).
    """
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, None, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{ast.unparse(node)!r}: name the module in full")
            yield from ((node.module, one.name, one.asname or one.name) for one in node.names)


def _statements(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those below ``if __name__ == "__main__"``: an import does not run them."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "__name__ == '__main__'":
            continue
        yield node
        yield from _statements(node)


def write_checkpoint(path: Path, settings: Mapping[str, Any], state: Mapping[str, Any]) -> None:
    """Keep a state, to be given back by `resume` under equal settings, in place of an older one.

    Settings are what `cached` takes; the state holds numbers, texts and tensors, in lists and
    dictionaries.  Raises FloatingPointError where a tensor holds what is no finite number.
    """
    import torch

    content = {"settings": plain(settings), "state": dict(state), "digest": _digest(state)}
    with atomic_write(path) as unfinished:
        torch.save(content, unfinished)


def resume(
    path: Path | None, settings: Mapping[str, Any], restore: Callable[[dict[str, Any]], None]
) -> None:
    """Call ``restore`` with the state that was written, its tensors on the CPU, if there is one.

    Raises DataError if the file cannot be read, was changed, belongs to other settings, or
    ``restore`` cannot take it.
    """
    content = path and kept_bytes(path)
    if not content:
        return
    import torch

    try:
        saved = torch.load(content, map_location="cpu", weights_only=True)
        if saved["digest"] != _digest(saved["state"]):
            raise ValueError("it was changed since it was written")
        differing = _differing(saved["settings"], plain(settings))
        if not differing:
            restore(saved["state"])
    except Exception as error:
        raise DataError(
            f"{path} is not a readable checkpoint of this run ({error}): name another checkpoint, "
            "or delete it to start anew"
        ) from error
    if differing:
        raise DataError(
            f"{path} belongs to another run ({'; '.join(differing)}): name another checkpoint, or "
            "delete it to start anew"
        )


def _digest(state: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(state, default=_finite).encode()).hexdigest()


def _finite(value: Any) -> Any:
    if hasattr(value, "isfinite") and not value.isfinite().all():
        raise FloatingPointError(
            f"a tensor {tuple(value.shape)} of the state holds a number that is not finite, "
            "and is not kept: the run has diverged"
        )
    return _plain(value)


def _differing(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is {found.get(name)!r} there and {wanted.get(name)!r} here"
        for name in {**wanted, **found}
        if found.get(name) != wanted.get(name)
    ]
