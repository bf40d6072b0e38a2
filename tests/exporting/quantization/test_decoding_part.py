"""The part of a graph behind its last convolutions."""

import pytest

from attendet.errors import OptionError
from attendet.exporting.quantization.decoding_part import decoding_nodes, last_convolutions

# Two levels; the second head reads the neck, whose convolution also reads the first level's features. A gate with a
# convolution of its own is multiplied with its input, and its values are an output of the graph.
GRAPH = {
    "image": ["stem"],
    "stem": ["gate", "product"],
    "gate": ["product", "gate output"],
    "product": ["neck", "head 1"],
    "neck": ["activation"],
    "activation": ["head 2"],
    "head 1": ["shape", "sigmoid 1"],
    "sigmoid 1": ["boxes"],
    "shape": ["boxes"],
    "head 2": ["boxes"],
    "boxes": ["output"],
}
CONVOLUTIONS = {"stem", "gate", "neck", "head 1", "head 2"}


def test_last_convolutions_reach_no_other():
    assert last_convolutions(GRAPH, CONVOLUTIONS) == {"head 1", "head 2"}


def test_decoding_is_everything_behind_them():
    assert decoding_nodes(GRAPH, CONVOLUTIONS) == {"shape", "sigmoid 1", "boxes", "output"}


def test_names_do_not_matter():
    numbers = {name: number for number, name in enumerate({*GRAPH, *(one for many in GRAPH.values() for one in many)})}
    graph = {numbers[name]: [numbers[one] for one in many] for name, many in GRAPH.items()}
    expected = {numbers[name] for name in ("shape", "sigmoid 1", "boxes", "output")}
    assert decoding_nodes(graph, {numbers[name] for name in CONVOLUTIONS}) == expected


def test_attention_behind_the_head_moves_the_decoding():
    graph = {**GRAPH, "head 2": ["late gate", "late product"], "late gate": ["late product"], "late product": ["boxes"]}
    convolutions = CONVOLUTIONS | {"late gate"}
    assert last_convolutions(graph, convolutions) == {"head 1", "late gate"}
    assert "late product" in decoding_nodes(graph, convolutions)


def test_a_loop_ends():
    assert last_convolutions({"a": ["b"], "b": ["a"]}, {"a", "b"}) == set()


def test_no_convolution():
    with pytest.raises(OptionError, match="must have a convolution"):
        last_convolutions({"a": ["b"]}, set())
