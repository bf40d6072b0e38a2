"""Pair the items of two sequences in order so that the total score is largest."""

from __future__ import annotations

from collections.abc import Callable


def pair_sequences(first: int, second: int, score: Callable[[int, int], int]) -> list[tuple[int, int]]:
    """Return the pairs (i, j), increasing in i and in j, whose total score is largest.

    This is the alignment of Needleman and Wunsch (1970) without a gap penalty. Among pairings with the same total
    score, items that come early in both sequences are paired. Of two equal neighbors, the later one therefore stays
    unpaired.

    Args:
        first: Length of the first sequence.
        second: Length of the second sequence.
        score: Score of pairing item i of the first sequence with item j of the second. Items with a score of 0 or less
            are never paired. It is called once for each pair of items.

    Example:
        >>> pair_sequences(5, 4, lambda i, j: int("hello"[i] == "help"[j]))
        [(0, 0), (1, 1), (2, 2)]
    """
    scores = [[score(i, j) for j in range(second)] for i in range(first)]
    # best[i][j]: the largest total score of the items from i and from j on.
    best = [[0] * (second + 1) for _ in range(first + 1)]
    for i in reversed(range(first)):
        for j in reversed(range(second)):
            paired = scores[i][j] + best[i + 1][j + 1] if scores[i][j] > 0 else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < first and j < second:
        if scores[i][j] > 0 and best[i][j] == scores[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            i += 1
    return pairs
