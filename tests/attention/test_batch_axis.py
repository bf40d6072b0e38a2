"""No attention module joins, sums, or folds anything on the batch axis: runtimes such as ncnn do not have it."""

import pytest
import torch

from attendet.attention import create, names

# A prime number of images, which no other axis of the features has.
_IMAGES = 5


@pytest.mark.parametrize("name", names())
def test_the_first_axis_of_every_map_is_the_number_of_images(name: str):
    program = torch.export.export(create(name, 64).eval(), (torch.rand(_IMAGES, 64, 12, 14),))
    maps = {node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs}
    for node in program.graph.nodes:
        value = node.meta.get("val")
        # A constant that only takes its type from the features does not count.
        is_constant = node.target is torch.ops.aten.type_as.default and node.args[0] not in maps
        if isinstance(value, torch.Tensor) and maps.intersection(node.all_input_nodes) and not is_constant:
            maps.add(node)
            assert value.shape[:1] == (_IMAGES,), f"{node.target} returns the shape {tuple(value.shape)}"
    assert maps.intersection(program.graph.output_node().all_input_nodes)
