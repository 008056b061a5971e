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


class quiz(nodes.Element):  # noqa: N801
    """One question with its answers."""


class quiz_question(nodes.TextElement):  # noqa: N801
    """The words of the question: the legend of the field set."""


class quiz_answer(nodes.TextElement):  # noqa: N801
    """One answer, with ``name``, ``number`` and ``right``."""


class quiz_feedback(nodes.Element):  # noqa: N801
    """What is said about one answer, with ``right`` and the answer's words."""


class quiz_solution(nodes.Element):  # noqa: N801
    """All that is said, in a disclosure."""


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive with Sphinx."""
    app.add_directive("quiz", Quiz)
    for node, visit, depart in (
        (quiz, visit_quiz, depart_quiz),
        (quiz_question, visit_question, depart_question),
        (quiz_answer, visit_answer, depart_answer),
        (quiz_solution, visit_solution, depart_solution),
        (quiz_feedback, visit_feedback, depart_feedback),
    ):
        app.add_node(node, html=(visit, depart), text=(nothing, nothing))
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


class Quiz(SphinxDirective):
    """A question and a list of answers; ``[x]`` marks the right one."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        """Return the question as one node."""
        content = self.parse_content_to_nodes()
        question, answers = question_and_answers(content)
        problem = what_is_wrong(question, answers)
        if problem:
            raise self.error(f"quiz: {problem}")
        number = self.env.new_serialno("quiz") + 1
        name = f"quiz-{self.env.docname.replace('/', '-')}-{number}"
        return [assemble(name, number, question, answers)]


def question_and_answers(
    content: list[nodes.Node],
) -> tuple[list[nodes.Node], list[nodes.list_item]]:
    """Split the parsed content into the question's nodes and the answers' list items."""
    lists = [node for node in content if isinstance(node, nodes.bullet_list)]
    if not lists:
        return content, []
    return content[: content.index(lists[-1])], list(lists[-1].children)


def what_is_wrong(question: list[nodes.Node], answers: list[nodes.list_item]) -> str:
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
) -> quiz:
    """Make one node of a question and its answers."""
    first, *more = question
    solution = quiz_solution()
    made = quiz("", quiz_question("", "", *first.children, number=number), *more, ids=[name])
    for place, answer in enumerate(answers, start=1):
        words, *said = answer.children
        right = is_right_and_unmark(words)
        kept = {"name": name, "number": place, "right": right}
        copies = [child.deepcopy() for child in words.children]
        solution += quiz_feedback("", nodes.paragraph("", "", *copies), *said, **kept)
        made += quiz_answer("", "", *words.children, **kept)
    made += solution
    return made


def is_right_and_unmark(words: nodes.Element) -> bool:
    """Take the mark off an answer and say whether it was that of the right one."""
    text = next(iter(words.findall(nodes.Text)))
    found = MARK.match(text)
    text.parent.replace(text, nodes.Text(text[found.end() :] if found else text))
    return bool(found and found[1] != " ")


def nothing(self: Any, node: nodes.Element) -> None:
    """Write nothing around a node."""


def visit_quiz(self: Any, node: nodes.Element) -> None:
    """Open the field set."""
    self.body.append(f'<fieldset class="dc2quiz" id="{node["ids"][0]}">')


def depart_quiz(self: Any, node: nodes.Element) -> None:
    """Close the field set."""
    self.body.append("</fieldset>\n")


def visit_question(self: Any, node: nodes.Element) -> None:
    """Open the legend."""
    self.body.append(f"<legend><strong>Question {node['number']}.</strong> ")


def depart_question(self: Any, node: nodes.Element) -> None:
    """Close the legend."""
    self.body.append("</legend>\n")


def visit_answer(self: Any, node: nodes.Element) -> None:
    """Open a radio button and its label."""
    identity = f"{node['name']}-{node['number']}"
    self.body.append(
        f'<div class="dc2quiz-answer"><input type="radio" id="{identity}" name="{node["name"]}" '
        f'value="{node["number"]}"><label for="{identity}">'
    )


def depart_answer(self: Any, node: nodes.Element) -> None:
    """Close the label."""
    self.body.append("</label></div>\n")


def visit_solution(self: Any, node: nodes.Element) -> None:
    """Open the place of the feedback and the disclosure."""
    self.body.append(
        '<p class="dc2quiz-said" role="status" aria-live="polite"></p>\n'
        '<details class="dc2quiz-solution"><summary>All answers, explained</summary>\n<ul>\n'
    )


def depart_solution(self: Any, node: nodes.Element) -> None:
    """Close the disclosure."""
    self.body.append("</ul>\n</details>\n")


def visit_feedback(self: Any, node: nodes.Element) -> None:
    """Open what is said about one answer."""
    word = "Right" if node["right"] else "Wrong"
    self.body.append(f'<li data-right="{int(node["right"])}"><strong>{word}:</strong> ')


def depart_feedback(self: Any, node: nodes.Element) -> None:
    """Close what is said about one answer."""
    self.body.append("</li>\n")
