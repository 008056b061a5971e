"""Rows of the released layout, many at a time.

A general CSV reader finds every field of every row. Here each row is walked from its end, all rows
of a block together, which takes half the time. It answers only if every byte is where the layout
wants it; anything else is left to the general reader, which also knows what to say about it.
"""

from __future__ import annotations

from mmap import mmap

import numpy as np

from dc2lib.datasets.histone import COUNT_LIMIT, N_BINS

BLOCK = 2**18
NEWLINE, COMMA, ZERO = b"\n"[0], b","[0], b"0"[0]
SHORTEST_ROW = 16
BINS = np.tile(np.arange(1, N_BINS + 1), BLOCK // SHORTEST_ROW // N_BINS + 2)
BIN_WIDTH = 1 + (BINS > 9) + (BINS > 99)
BIN_DIGITS = [(BINS // 10**place % 10 + ZERO).astype(np.uint8) for place in range(3)]
MOST_DIGITS = len(str(COUNT_LIMIT))


def read_rows(
    data: bytes | mmap, n_marks: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Genes, counts and labels of a file whose every row is as released; else None.

    Parameters
    ----------
    data : bytes or mmap
        The whole file, with a newline after each row.
    n_marks : int
        Columns between bin and label.
    width : int
        Characters of a gene, the same in all rows.

    Returns
    -------
    gene : bytes array (gene,)
    counts : uint16 array (gene, bin, mark)
    label : uint8 array (gene,)
    """
    if data[-1:] != b"\n" or width < 1:
        return None
    text = np.frombuffer(data, dtype=np.uint8)
    most = len(data) // SHORTEST_ROW + 1
    gene = np.empty((width, most), dtype=np.uint8)
    counts = np.empty((most, n_marks), dtype=np.uint16)
    label = np.empty(most, dtype=np.uint8)
    row = start = 0
    while start < len(data):
        stop = data.rfind(b"\n", start, start + BLOCK) + 1
        n_rows = _read_block(text[start:stop], row, gene[:, row:], counts[row:], label[row:])
        if not n_rows:
            return None
        row, start = row + n_rows, stop
    if row % N_BINS:
        return None
    gene, counts, label = gene[:, :row], counts[:row], label[:row]
    if not _same_in_blocks(label) or not all(_same_in_blocks(letter) for letter in gene):
        return None
    gene = np.ascontiguousarray(gene[:, ::N_BINS].T).view(f"S{width}")[:, 0]
    return gene, counts.reshape(-1, N_BINS, n_marks), label[::N_BINS]


def _same_in_blocks(values: np.ndarray) -> bool:
    blocks = values.reshape(-1, N_BINS)
    return bool((blocks == blocks[:, :1]).all())


def _read_block(
    text: np.ndarray, row: int, gene: np.ndarray, counts: np.ndarray, label: np.ndarray
) -> int:
    """Fill in the genes' bytes, counts and labels of the rows in `text`; how many rows, 0 if wrong.

    The first of them is the file's row `row`.
    """
    width, n_marks = len(gene), counts.shape[1]
    end = np.flatnonzero(text == NEWLINE)
    first = np.concatenate(([0], end[:-1] + 1))
    rows = len(end)
    if not rows or (end - first).min() < SHORTEST_ROW:
        return 0
    comma = end - 2
    np.subtract(text[end - 1], ZERO, out=label[:rows])
    if label[:rows].max() > 1 or (text[comma] != COMMA).any():
        return 0
    for mark in reversed(range(n_marks)):
        field = _number_before(text, comma)
        if field is None:
            return 0
        counts[:rows, mark], comma = field
    expected = slice(row % N_BINS, row % N_BINS + rows)
    if (comma - first != BIN_WIDTH[expected] + width + 1).any():
        return 0
    if (text[first + width] != COMMA).any():
        return 0
    for place, digits in enumerate(BIN_DIGITS):
        wrong = text[comma - 1 - place] != digits[expected]
        if (wrong & (BIN_WIDTH[expected] > place)).any():
            return 0
    for place in range(width):
        gene[place, :rows] = text[first + place]
    return rows


def _number_before(text: np.ndarray, comma: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Numbers that end at each comma, and the commas before them; None if one is no count.

    Every byte from the comma to the left is looked at until another comma comes, so a walk cannot
    leave its row: the newline before it is no digit. Before the first row stands, by the way that
    negative indices count, the last byte of the block, which is a newline.
    """
    digit = text[comma - 1] - ZERO
    if digit.max() > 9:
        return None
    value, before = digit.astype(np.uint16), comma - 2
    longer = np.flatnonzero(text[before] != COMMA)
    numbers = digit[longer].astype(np.int64)
    place, walking = before[longer], np.arange(len(longer))
    for power in range(1, MOST_DIGITS):
        if not len(walking):
            break
        digit = text[place[walking]] - ZERO
        if digit.max() > 9:
            return None
        numbers[walking] += digit.astype(np.int64) * 10**power
        place[walking] -= 1
        walking = walking[text[place[walking]] != COMMA]
    if len(walking) or numbers.max(initial=0) > COUNT_LIMIT:
        return None
    value[longer], before[longer] = numbers, place
    return value, before
