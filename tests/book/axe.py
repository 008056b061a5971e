"""Ask axe-core what in an open page keeps people out."""

from __future__ import annotations

import importlib.util
import json
import os
import re
from pathlib import Path
from typing import Any

from tools.browser import Tab

# (rule, target) of what is the theme's and cannot be changed from here, with the reason.
KNOWN: dict[tuple[str, str], str] = {}
ASK = """
axe.run(document, {resultTypes: ['violations'], RULES}).then(found => JSON.stringify(
  found.violations.map(v => ({id: v.id, help: v.help, nodes: v.nodes.map(n => ({
    target: n.target.join(' '), html: n.html.slice(0, 160),
    why: (n.any[0] || n.all[0] || n.none[0] || {message: ''}).message}))}))))
"""
CONTRAST_ONLY = "runOnly: ['color-contrast']"


def find_axe() -> Path | None:
    """Return axe.min.js: of ``$AXE``, or of the test dependency axe-core-python."""
    named = os.environ.get("AXE")
    if named:
        return Path(named)
    spec = importlib.util.find_spec("axe_core_python")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).with_name("axe.min.js")


async def violations(tab: Tab, script: str, contrast_only: bool = False) -> list[str]:
    """Return what axe finds in the open page, less what `KNOWN` explains."""
    await tab.evaluate(f"window.axe || (() => {{ {script} }})(); null")
    rules = CONTRAST_ONLY if contrast_only else "rules: {}"
    found = json.loads(await tab.evaluate(ASK.replace("RULES", rules)))
    return [
        f"axe {rule['id']}: {node['target']} ({node['why'] or rule['help']})"
        for rule in found
        for node in rule["nodes"]
        if not is_known(rule["id"], node)
    ]


def is_known(rule: str, node: dict[str, Any]) -> bool:
    """Return whether a finding is the theme's and explained."""
    return any(
        rule == known and re.search(target, f"{node['target']} {node['html']}")
        for known, target in KNOWN
    )
