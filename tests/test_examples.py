"""The examples in docstrings of library and book give what they say."""

import doctest
import importlib

import pytest

from dc2lib.cache import modules_of, package_folder

WITH_EXAMPLES = [
    name
    for package in ("dc2lib", "dc2book")
    for name, file in modules_of(package_folder(package)).items()
    if ">>> " in file.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples(name):
    found = doctest.testmod(importlib.import_module(name))
    assert found.attempted and not found.failed
