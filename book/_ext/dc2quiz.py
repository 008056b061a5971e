"""Self checks: a question, answers of which one is right, and a word on each.

    :::{quiz}
    What does a bin hold?

    - [ ] A base pair.

      A bin is wider than that.
    - [x] A number of reads.

      Of one mark, in one stretch of the genome.
    :::

The page needs no network: radio buttons in a field set, a button that a script adds, and the same
words in a disclosure that opens without any script.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

MARK = re.compile(r"^\[([ xX])\]\s*")


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("quiz", Quiz)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


class Quiz(SphinxDirective):
    """A question and a list of answers; ``[x]`` marks the right one."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the question, between pieces of HTML."""
        content = self.parse_content_to_nodes()
        question, answers = question_and_answers(content)
        problem = problem_of(question, answers)
        if problem:
            raise self.error(f"quiz: {problem}")
        number = self.env.new_serialno("quiz") + 1
        name = f"quiz-{self.env.docname.replace('/', '-')}-{number}"
        return assemble(name, number, question, answers)


def question_and_answers(
    content: list[nodes.Node],
) -> tuple[list[nodes.Node], list[nodes.list_item]]:
    """Split the parsed content into the question's nodes and the answers' list items."""
    lists = [node for node in content if isinstance(node, nodes.bullet_list)]
    if not lists:
        return content, []
    return content[: content.index(lists[-1])], list(lists[-1].children)


def problem_of(question: list[nodes.Node], answers: list[nodes.list_item]) -> str:
    """Say why this cannot be a question; empty if it can."""
    if not question or not isinstance(question[0], nodes.paragraph):
        return "begin with the question"
    if len(answers) < 2:
        return "end with a list of at least two answers, - [x] for the right one, - [ ] for others"
    marks = [MARK.match(answer.astext()) for answer in answers]
    if not all(marks):
        return "begin each answer with [ ] or [x]"
    if sum(mark[1] != " " for mark in marks if mark) != 1:
        return "mark one answer, and only one, with [x]"
    if any(len(answer.children) < 2 for answer in answers):
        return "say a word on each answer, in a paragraph of its own below it"
    return ""


def assemble(
    name: str, number: int, question: list[nodes.Node], answers: list[nodes.list_item]
) -> list[nodes.Node]:
    """Put HTML around a question, its answers and what is said about each of them."""
    first, *more = question
    made = [
        _html(f'<fieldset class="dc2quiz" id="{name}">'
              f"<legend><strong>Question {number}.</strong> "),
        _inline(first), _html("</legend>"), *more,
    ]  # fmt: skip
    said_of_all = []
    for place, answer in enumerate(answers, start=1):
        words, *said = answer.children
        right = take_mark(words)
        identity = f"{name}-{place}"
        made += [
            _html(f'<div class="dc2quiz-answer"><input type="radio" id="{identity}" '
                  f'name="{name}" value="{place}"><label for="{identity}">'),
            _inline(words.deepcopy()), _html("</label></div>\n"),
        ]  # fmt: skip
        said_of_all += [
            _html(f'<li data-right="{int(right)}">'
                  f"<strong>{'Right' if right else 'Wrong'}:</strong> "),
            nodes.paragraph("", "", *words.children), *said, _html("</li>\n"),
        ]  # fmt: skip
    return [
        *made,
        _html('<p class="dc2quiz-said" role="status" aria-live="polite"></p>\n'
              '<details class="dc2quiz-solution"><summary>All answers, explained</summary>\n'
              "<ul>\n"),
        *said_of_all,
        _html("</ul>\n</details>\n</fieldset>\n"),
    ]  # fmt: skip


def take_mark(words: nodes.Element) -> bool:
    """Take the mark off an answer and say whether it was that of the right one."""
    text = next(iter(words.findall(nodes.Text)))
    found = MARK.match(text)
    text.parent.replace(text, nodes.Text(text[found.end() :] if found else text))
    return bool(found and found[1] != " ")


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _inline(paragraph: nodes.Element) -> nodes.inline:
    return nodes.inline("", "", *paragraph.children)
