"""No chapter states a result that is not a recorded value.

Numbers in prose come through glue.  What is left after code, mathematics, roles, links, names and
references to figures, tables and sections are removed may hold a number only in a phrase that
``prose_numbers.yml`` lists with a reason: the paper's own figures, sizes of the data, definitions,
worked examples.
"""

import re
from pathlib import Path

import pytest
import yaml

from tools.chapters import is_chapter, page_names

ROOT = Path(__file__).resolve().parents[2]
ALLOWED = yaml.safe_load(Path(__file__).with_name("prose_numbers.yml").read_text())
PAGES = [ROOT / "book" / f"{name}.md" for name in page_names(ROOT / "_toc.yml")]
CHAPTERS = [page for page in PAGES if page.exists() and is_chapter(page)]

ADMONITIONS = "note|tip|hint|warning|important|admonition|exercise|solution|dropdown|margin"
NOT_PROSE = (
    r"(?s)^---\n.*?\n---\n",  # header
    rf"(?s)^(`{{3,}}|~{{3,}})(?!\{{({ADMONITIONS})\}})[^\n]*\n.*?^\1",  # fenced code
    r"(?m)^:[a-z-]+:.*$",  # options of directives
    r"(?m)^\([\w-]+\)=$",  # labels
    r"(?m)^:{3,}\{(grid|figure|image)[^\n]*$",
    r"(?s)\$\$.*?\$\$",
    r"\$[^$\n]+\$",
    r"\{[\w:-]+\}`[^`]*`",  # roles: glue, numref, cite, ...
    r"``[^`\n]*``",
    r"`[^`\n]*`",
    r"<!--.*?-->",
    r"(?<=\])\([^)\s]*\)",  # targets of links
    r"<?https?://\S+",
    r"\b10\.\d{4,}/\S+",  # DOIs
)
REFERENCES = (
    r"\b([Ff]igures?|[Tt]ables?|[Ss]ections?|[Cc]hapters?|[Cc]ontributions?|[Ff]ig\.|[Cc]laims?)"
    r" \d+(\.\d+)*[a-z]?(( and |, | to )\d+(\.\d+)*[a-z]?)*"
)
NAMES = r"\b([A-Za-z]\w*\d\w*|\d+(st|nd|rd|th))\b"  # H3K4me3, E012, log1p, 10th
TITLES = r"DeepChrome 2\.0|Python 3\.\d+"
NUMBER = r"(?<![\w.])[±+−-]?\d[\d,]*(?:\.\d+)?(?:e[+−-]?\d+)?(?:\s?%)?"


def prose_of(text: str) -> str:
    """The chapter's words: everything that a reader reads and the build does not compute."""
    for pattern in (*NOT_PROSE, TITLES, REFERENCES):
        text = re.sub(pattern, " ", text, flags=re.MULTILINE)
    return re.sub(r"[ \t]+", " ", text)


def numbers_in(text: str, phrases: list[str] | None = None) -> list[tuple[str, str]]:
    """Each number of a chapter's prose outside the phrases, with the line that it stands in."""
    found = []
    for line in prose_of(text).splitlines():
        kept = re.sub(r"^\s*\d+\.\s", " ", line)
        for phrase in sorted(phrases or [], key=len, reverse=True):
            kept = re.sub(rf"(?<![\w.]){re.escape(phrase)}(?![\d%]|\.\d)", " ", kept)
        kept = re.sub(NAMES, " ", kept)
        found += [(number.strip(" ,"), line.strip()) for number in re.findall(NUMBER, kept)]
    return found


def phrases_of(chapter: str) -> list[str]:
    return [*(ALLOWED["all"] or {}), *(ALLOWED.get(chapter) or {})]


@pytest.mark.parametrize("source", CHAPTERS, ids=lambda path: path.stem)
def test_prose_states_no_number_that_is_not_recorded(source):
    stated = numbers_in(source.read_text(), phrases_of(source.stem))
    assert not stated, (
        f"{source.name} types numbers into prose; record() and glue them or, if they are the "
        "paper's own or a definition, list the phrase with a reason in "
        "tests/book/prose_numbers.yml:\n"
        + "\n".join(f"{number} in: {line}" for number, line in stated)
    )


def test_every_allowed_phrase_holds_a_number_is_used_and_has_a_reason():
    texts = {page.stem: prose_of(page.read_text()) for page in CHAPTERS}
    for chapter, phrases in ALLOWED.items():
        where = texts.values() if chapter == "all" else [texts[chapter]] if chapter in texts else []
        for phrase, reason in (phrases or {}).items():
            assert re.search(r"\d", phrase), f"{chapter}: {phrase!r} holds no number"
            assert len(str(reason)) > 7, f"{chapter}: {phrase!r} needs a reason"
            assert not where or any(phrase in text for text in where), (
                f"tests/book/prose_numbers.yml: {phrase!r} is no longer used in {chapter}"
            )


def test_a_typed_result_is_noticed_and_what_is_no_result_is_not():
    text = """---
kernelspec: {name: python3}
---
# DeepChrome 2.0

The network reaches 0.951 AUROC, 3.2 % more, ±0.03, on 1,234 genes and -2e-3 elsewhere.
Section 4.3, Figures 5, 6 and 7b, Table 2, H3K4me3 in E012, $x = 0.5$, {glue:text}`auroc:.3f`,
`0.77` and [a link](page.md#part-2), https://doi.org/10.1038/nature14248.

1. First
2. Second

```{code-cell} python
x = 0.123
```

```{note}
It gains 0.456.
```
"""
    assert [number for number, _ in numbers_in(text)] == [
        "0.951", "3.2 %", "±0.03", "1,234", "-2e-3", "0.456"
    ]
    assert [number for number, _ in numbers_in(text, ["3.2 % more", "1,234 genes", "0.95"])] == [
        "0.951", "±0.03", "-2e-3", "0.456"
    ]
