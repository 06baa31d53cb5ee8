"""The model repository: complete, described truly, the same every time, and never half there."""

import hashlib
import json
import re
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import edit_json
from tiny_models import TinyModel, export_tiny
from torch import nn

from vapfarm_exporter.engine_spec import EngineSpec
from vapfarm_exporter.errors import CheckpointError, ExportError, OutputError, UnsupportedConfigError
from vapfarm_exporter.folder import replaced_folder
from vapfarm_exporter.onnx_graphs import Bounds, export_graph, open_session, save_graph, verify_graph

Made = tuple[TinyModel, Path]


def manifest(folder: Path) -> dict:
    return json.loads((folder / "farm.json").read_text(encoding="utf-8"))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_repository_has_exactly_its_files(made: Made) -> None:
    model, exported = made
    found = sorted(path.relative_to(exported).as_posix() for path in exported.rglob("*") if path.is_file())
    engines = [f"{name}/{file}" for name in model.engines for file in ("1/model.onnx", "config.pbtxt")]
    assert found == sorted(["farm.json", "scheduler_config.json", "tokenizer.json", *engines])
    assert (exported / "scheduler_config.json").read_bytes() == (
        model.checkpoint / "scheduler/scheduler_config.json"
    ).read_bytes()


def test_files_and_digests_are_as_stated(made: Made) -> None:
    model, exported = made
    farm = manifest(exported)
    assert tuple(farm["engines"]) == model.engines
    for name, engine in farm["engines"].items():
        assert engine["path"] == f"{name}/1/model.onnx"
        for file in engine["files"]:
            path = exported / file["path"]
            assert (file["bytes"], file["sha256"]) == (path.stat().st_size, sha256(path))
        hashed = {key: engine[key] for key in ("constants", "files", "precision")}
        canonical = json.dumps(hashed, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        assert engine["digest"] == hashlib.sha256(canonical.encode()).hexdigest()
        assert engine["check"]["max_abs_diff"] <= engine["check"]["tolerance"] == 5e-5
    text = farm["engines"]["text_encode"]["constants"]
    assert text["tokenizer_sha256"] == sha256(exported / "tokenizer.json")
    assert farm["source"]["transformer_config_sha256"] == sha256(model.checkpoint / "transformer/config.json")


def test_boundaries_are_the_graphs_own(made: Made) -> None:
    _, exported = made
    types = {"tensor(float)": "float32", "tensor(int64)": "int64"}
    for name, engine in manifest(exported)["engines"].items():
        session = open_session(exported / engine["path"], 1)
        for key, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            found = [
                {"name": v.name, "dtype": types[v.type], "shape": [-1 if isinstance(d, str) else d for d in v.shape]}
                for v in values
            ]
            assert engine[key] == found, name


def test_triton_configs_state_the_same_boundaries(made: Made) -> None:
    _, exported = made
    for name, engine in manifest(exported)["engines"].items():
        text = (exported / name / "config.pbtxt").read_text()
        assert text.startswith(f'name: "{name}"\nplatform: "onnxruntime_onnx"\nmax_batch_size: 0\n')
        pattern = r'name: "(\w+)"\s+data_type: TYPE_(\w+)\s+dims: \[ (.*?) \]'
        types = {"FP32": "float32", "INT64": "int64"}
        found = [
            {"name": n, "dtype": types[t], "shape": [int(d) for d in dims.split(", ")]}
            for n, t, dims in re.findall(pattern, text)
        ]
        assert found == [*engine["inputs"], *engine["outputs"]]


def test_graphs_carry_nothing_of_the_machine_and_are_valid(made: Made) -> None:
    model, exported = made
    for name in model.engines:
        path = exported / name / "1/model.onnx"
        onnx.checker.check_model(str(path))
        content = path.read_bytes()
        assert b".py" not in content
        assert b"stack_trace" not in content
        assert str(Path.cwd()).encode() not in content


def test_attention_stays_one_operator(made: Made) -> None:
    model, exported = made
    nodes = onnx.load(exported / "denoise/1/model.onnx").graph.node
    assert sum(node.op_type == "Attention" for node in nodes) == model.attentions
    assert not any(node.op_type == "Softmax" for node in nodes)


def test_memory_covers_weights_and_the_largest_activation(made: Made) -> None:
    _, exported = made
    for engine in manifest(exported)["engines"].values():
        weights = sum(file["bytes"] for file in engine["files"])
        assert 0.6 * weights < engine["memory_bytes"] < 100 * 2**20


def without_measurements(farm: dict) -> dict:
    """The measured difference may vary with the processor."""
    return {**farm, "engines": {name: {**engine, "check": None} for name, engine in farm["engines"].items()}}


def test_the_demo_in_git_is_what_the_exporter_makes(made: Made) -> None:
    model, exported = made
    files = sorted(path.relative_to(model.demo) for path in model.demo.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(exported) for path in exported.rglob("*") if path.is_file())
    for file in files:
        if file.name != "farm.json":
            assert (model.demo / file).read_bytes() == (exported / file).read_bytes(), file
    assert without_measurements(manifest(model.demo)) == without_measurements(manifest(exported))


def test_large_weights_go_to_a_file_of_their_own(
    tmp_path: Path, modules: dict[str, nn.Module], specs: dict[str, EngineSpec]
) -> None:
    spec, module = specs["text_encode"], modules["text_encode"]
    limits = Bounds({}, 367)
    model = export_graph(module, spec, limits)
    inline = save_graph(model, tmp_path / "inline/1")
    apart = save_graph(model, tmp_path / "apart/1", external_from=1000)
    assert [path.name for path in inline] == ["model.onnx"]
    assert [path.name for path in apart] == ["model.onnx", "model.onnx.data"]
    assert verify_graph(module, spec, tmp_path / "apart/1", limits) <= 5e-5
    ids = {"input_ids": np.arange(226, dtype=np.int64)[None]}
    outputs = [open_session(files[0], 1).run(None, ids)[0] for files in (inline, apart)]
    assert np.array_equal(*outputs)


def listing(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_an_existing_folder_is_kept_unless_forced(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(OutputError, match="--force"):
        export_tiny(out)
    with replaced_folder(out, force=True) as built:
        (built / "new").write_text("")
    assert listing(tmp_path) == ["demo"]
    assert listing(out) == ["new"]


def test_a_failure_leaves_the_old_folder_and_nothing_beside_it(tmp_path: Path) -> None:
    out = tmp_path / "demo"
    out.mkdir()
    (out / "mine").write_text("kept")
    with pytest.raises(ExportError), replaced_folder(out, force=True) as built:
        (built / "half").write_text("")
        raise ExportError("stopped")
    assert listing(tmp_path) == ["demo"]
    assert listing(out) == ["mine"]


def test_a_file_in_the_way_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("a file")
    with pytest.raises(OutputError, match="not a folder"), replaced_folder(tmp_path / "demo", force=True):
        pass
    with pytest.raises(OutputError, match="cannot be written"), replaced_folder(tmp_path / "demo/inner", force=False):
        pass


@pytest.mark.parametrize(
    ("file", "changes", "error"),
    [
        ("model_index.json", {"_class_name": "CogVideoXImageToVideoPipeline"}, UnsupportedConfigError),
        ("scheduler/scheduler_config.json", {"_class_name": "EulerScheduler"}, UnsupportedConfigError),
        ("text_encoder/config.json", {"vocab_size": 300}, UnsupportedConfigError),
        ("tokenizer/tokenizer_config.json", {"added_tokens_decoder": None}, CheckpointError),
        ("transformer/config.json", {"patch_size_t": 2}, UnsupportedConfigError),
        ("text_encoder/config.json", {"d_ff": 128}, CheckpointError),
    ],
)
def test_a_checkpoint_that_is_refused_leaves_nothing(
    tmp_path: Path, checkpoint: Path, file: str, changes: dict, error: type[ExportError]
) -> None:
    edit_json(checkpoint / file, **changes)
    with pytest.raises(error):
        export_tiny(tmp_path / "models/demo", checkpoint)
    assert listing(tmp_path / "models") == []


def test_changed_constants_change_the_engines_digest(made: Made) -> None:
    model, exported = made
    digests = [engine["digest"] for engine in manifest(exported)["engines"].values()]
    assert len(set(digests)) == len(model.engines)
