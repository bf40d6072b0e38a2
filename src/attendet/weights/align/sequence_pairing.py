"""Two sequences side by side: the pairing that keeps their order and is worth most."""

from __future__ import annotations

from collections.abc import Callable


def in_order(ours: int, theirs: int, worth: Callable[[int, int], int]) -> list[tuple[int, int]]:
    """Return the pairs (i, j), rising in both, whose total worth is largest.

    It is the alignment of Needleman and Wunsch (1970) without a price for gaps. Of equally good pairings it is the one
    whose pairs come first in both sequences, so that of two equal items side by side the later one is left over.

    Args:
        ours: Length of the first sequence.
        theirs: Length of the second.
        worth: What pairing items i and j is worth; they are never paired where that is 0 or less. Called once a pair.

    Example:
        >>> in_order(5, 4, lambda i, j: int("hello"[i] == "help"[j]))
        [(0, 0), (1, 1), (2, 2)]
    """
    worths = [[worth(i, j) for j in range(theirs)] for i in range(ours)]
    # best[i][j]: the largest worth of what is left from item i and item j on.
    best = [[0] * (theirs + 1) for _ in range(ours + 1)]
    for i in reversed(range(ours)):
        for j in reversed(range(theirs)):
            paired = worths[i][j] + best[i + 1][j + 1] if worths[i][j] > 0 else 0
            best[i][j] = max(paired, best[i + 1][j], best[i][j + 1])
    pairs, i, j = [], 0, 0
    while i < ours and j < theirs:
        if worths[i][j] > 0 and best[i][j] == worths[i][j] + best[i + 1][j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif best[i][j] == best[i][j + 1]:
            j += 1
        else:
            i += 1
    return pairs
