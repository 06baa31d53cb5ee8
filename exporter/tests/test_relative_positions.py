"""Fixing the text encoders' relative positions changes nothing but where the buckets come from."""

import onnx
import pytest
import torch
from tiny_models import TINY, TINY_WAN, TinyModel
from transformers import T5Config, T5EncoderModel, UMT5Config, UMT5EncoderModel

from vapfarm_exporter.checkpoint import read_json
from vapfarm_exporter.relative_positions import FixedBuckets, fix_relative_positions


@pytest.mark.parametrize(
    ("model", "config", "length", "biased"),
    [
        (T5EncoderModel, T5Config(**read_json(TINY / "text_encoder/config.json")), 226, 1),
        (UMT5EncoderModel, UMT5Config(**read_json(TINY_WAN / "text_encoder/config.json")), 512, 2),
    ],
)
def test_the_encoder_computes_exactly_the_same(model: type, config: object, length: int, biased: int) -> None:
    torch.manual_seed(2)
    encoder = model(config).eval()
    ids, mask = torch.randint(0, 300, (1, length)), (torch.arange(length) < length // 3).to(torch.int64)[None]
    with torch.no_grad():
        wanted = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
        fix_relative_positions(encoder, length)
        found = encoder(input_ids=ids, attention_mask=mask).last_hidden_state
    assert torch.equal(found, wanted)
    assert sum(isinstance(module, FixedBuckets) for module in encoder.modules()) == biased


def test_graphs_compute_no_logarithm_and_hold_one_table(made: tuple[TinyModel, object]) -> None:
    _, folder = made
    graph = onnx.load(folder / "text_encode/1/model.onnx").graph
    assert not any(node.op_type == "Log" for node in graph.node)
    tokens = graph.input[0].type.tensor_type.shape.dim[1].dim_value
    assert sum(list(value.dims) == [tokens, tokens] for value in graph.initializer) == 1
