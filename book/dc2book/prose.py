"""How long the Markdown of a chapter takes to read."""

from __future__ import annotations

import re

WORDS_A_MINUTE = 200
NOT_READ = (
    r"(?ms)^(:{3,}|`{3,})\{solution\}.*?^\1\s*$",  # folded until asked for
    r"(?ms)^`{3,}(?!\{(?:note|tip|admonition|exercise)).*?^`{3,}\s*$",  # code, figures
    r"(?s)<!--.*?-->",
    r"(?m)^:[\w-]+:.*$|^[:`]{3,}.*$",  # options and fences of directives
    r"\]\([^)]*\)|https?://\S+",  # targets of links
)


def reading_minutes(text: str) -> float:
    """Minutes that a reader takes for Markdown, without code and solutions; a role is one word.

    >>> reading_minutes("Genes with {term}`the mark <histone mark>` are *on*.") * WORDS_A_MINUTE
    5.0
    """
    for pattern in NOT_READ:
        text = re.sub(pattern, " ", text)
    text = re.sub(r"\{[\w:-]+\}`+[^`]*`+", " role ", text)
    return len(re.findall(r"\w[\w'’.,-]*", text)) / WORDS_A_MINUTE
