"""The repository of metric networks: the fixed boundaries, described truly, equal to the modules, the same every time."""

from pathlib import Path

import onnx
import pytest
from test_metric_networks import DEMO_METRICS
from test_repository import listing, manifest, sha256, without_measurements
from torch import nn

from vapfarm_exporter.cli import main
from vapfarm_exporter.errors import VerificationError
from vapfarm_exporter.manifest import engine_digest
from vapfarm_exporter.metrics.bpe import vocabulary
from vapfarm_exporter.metrics.engines import ENGINES
from vapfarm_exporter.metrics.repository import demo_merges
from vapfarm_exporter.onnx_graphs import TOLERANCE, Bounds, open_session, verify_sizes

F32, I64 = "float32", "int64"
# Names, types and shapes that the farm is built against.
BOUNDARIES = {
    "dino_b16": ({"pixels": (F32, [1, 3, -1, -1]), "positions": (F32, [1, -1, 48])}, {"embedding": (F32, [1, 48])}),
    "clip_b32_image": ({"pixels": (F32, [-1, 3, 224, 224])}, {"embeddings": (F32, [-1, 512])}),
    "clip_b32_text": ({"input_ids": (I64, [-1, 77])}, {"embeddings": (F32, [-1, 512])}),
    "clip_l14_image": ({"pixels": (F32, [-1, 3, 224, 224])}, {"embeddings": (F32, [-1, 768])}),
    "musiq_spaq": ({"tokens": (F32, [1, -1, 3075])}, {"score": (F32, [1, 1])}),
    "amt_s": ({"frame0": (F32, [1, 3, -1, -1]), "frame1": (F32, [1, 3, -1, -1])}, {"middle": (F32, [1, 3, -1, -1])}),
    "raft_things": ({"frame0": (F32, [1, 3, -1, -1]), "frame1": (F32, [1, 3, -1, -1])}, {"flow": (F32, [1, 2, -1, -1])}),
    "viclip_video": ({"frames": (F32, [1, 8, 3, 224, 224])}, {"embedding": (F32, [1, 768])}),
    "viclip_text": ({"input_ids": (I64, [1, 32])}, {"embedding": (F32, [1, 768])}),
}
FILES = {
    "dino_b16": ["dino_b16/1/positions.safetensors"],
    "clip_b32_text": ["clip_bpe/merges.txt"],
    "viclip_text": ["clip_bpe/merges.txt"],
    "clip_l14_image": ["clip_l14_image/1/laion_l14.safetensors"],
}
# Sizes that the exporter itself did not compare.
OTHER_SIZES = {
    "dino_b16": [{"height": 224, "width": 388, "tokens": 1 + 14 * 24}, {"height": 33, "width": 17, "tokens": 3}],
    "clip_b32_image": [{"n": 3}],
    "clip_b32_text": [{"n": 3}],
    "clip_l14_image": [{"n": 4}],
    "musiq_spaq": [{"tokens": 49}, {"tokens": 353}],
    "amt_s": [{"height": 32, "width": 176}, {"height": 192, "width": 64}],
    "raft_things": [{"height": 16, "width": 200}, {"height": 184, "width": 56}],
    "viclip_video": [{}],
    "viclip_text": [{}],
}
WORDS = len(vocabulary(demo_merges()))


def boundary(entries: list[dict]) -> dict:
    return {entry["name"]: (entry["dtype"], entry["shape"]) for entry in entries}


def test_every_engine_has_its_boundary(metrics_exported: Path) -> None:
    engines = manifest(metrics_exported)["engines"]
    assert {name: (boundary(e["inputs"]), boundary(e["outputs"])) for name, e in engines.items()} == BOUNDARIES
    for name, engine in engines.items():
        session = open_session(metrics_exported / engine["path"], 1)
        for key, values in (("inputs", session.get_inputs()), ("outputs", session.get_outputs())):
            found = [(v.name, [-1 if isinstance(d, str) else d for d in v.shape]) for v in values]
            assert found == [(entry["name"], entry["shape"]) for entry in engine[key]], name


def test_the_manifest_says_what_the_repository_is(metrics_exported: Path) -> None:
    farm = manifest(metrics_exported)
    stated = {key: value for key, value in farm.items() if key != "engines"}
    assert stated == {"format": 2, "kind": "metrics", "name": "demo-metrics", "version": "1", "weights": "random"}
    assert {(engine["stage"], engine["precision"]) for engine in farm["engines"].values()} == {("score", "fp32")}
    constants = {name: engine["constants"] for name, engine in farm["engines"].items() if engine["constants"]}
    assert constants == {
        "dino_b16": {"patch": 16, "grid": 14, "positions": "dino_b16/1/positions.safetensors"},
        "clip_b32_text": {"merges": "clip_bpe/merges.txt", "context": 77},
        "clip_l14_image": {"head": "clip_l14_image/1/laion_l14.safetensors"},
        "amt_s": {"pad_to": 16},
        "raft_things": {"minimum_side": 16, "pad_to": 8},
        "viclip_text": {"merges": "clip_bpe/merges.txt", "context": 32},
    }


def test_digests_cover_graphs_and_the_files_that_their_users_read(metrics_exported: Path) -> None:
    named = {"farm.json", "README.md", "LICENSE-laion"}
    for name, engine in manifest(metrics_exported)["engines"].items():
        paths = [file["path"] for file in engine["files"]]
        assert paths == [f"{name}/1/model.onnx", *FILES.get(name, [])]
        for file in engine["files"]:
            path = metrics_exported / file["path"]
            assert (file["bytes"], file["sha256"]) == (path.stat().st_size, sha256(path))
        assert engine["digest"] == engine_digest(engine["constants"], engine["files"], engine["precision"])
        assert engine["memory_bytes"] > 0.5 * engine["files"][0]["bytes"]
        named |= {*paths, f"{name}/config.pbtxt"}
    assert named == {path.relative_to(metrics_exported).as_posix() for path in metrics_exported.rglob("*") if path.is_file()}


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.spec.name)
def test_graphs_equal_their_modules_at_other_sizes(
    metrics_exported: Path, metric_modules: dict[str, nn.Module], engine: object
) -> None:
    name = engine.spec.name
    onnx.checker.check_model(str(metrics_exported / name / "1/model.onnx"))
    sizes = [Bounds(dims, WORDS) for dims in OTHER_SIZES[name]]
    assert verify_sizes(metric_modules[name], engine.spec, metrics_exported / name / "1", sizes) <= TOLERANCE


def test_a_graph_that_differs_from_its_module_is_refused(metrics_exported: Path, metric_modules: dict[str, nn.Module]) -> None:
    spec = next(engine.spec for engine in ENGINES if engine.spec.name == "clip_b32_image")
    other = nn.Sequential(metric_modules["clip_b32_image"], nn.Softplus(beta=100))
    with pytest.raises(VerificationError, match=r"clip_b32_image: .* at n=3"):
        verify_sizes(other, spec, metrics_exported / spec.name / "1", [Bounds({"n": 3}, WORDS)])


def test_graphs_carry_nothing_of_the_machine(metrics_exported: Path) -> None:
    for engine in ENGINES:
        content = (metrics_exported / engine.spec.name / "1/model.onnx").read_bytes()
        assert not any(trace in content for trace in (b".py", b"stack_trace", str(Path.cwd()).encode()))


def test_the_metric_networks_in_git_are_what_the_exporter_makes(metrics_exported: Path) -> None:
    files = sorted(path.relative_to(DEMO_METRICS) for path in DEMO_METRICS.rglob("*") if path.is_file())
    assert files == sorted(path.relative_to(metrics_exported) for path in metrics_exported.rglob("*") if path.is_file())
    for file in files:
        if file.name != "farm.json":
            assert (DEMO_METRICS / file).read_bytes() == (metrics_exported / file).read_bytes(), file
    assert without_measurements(manifest(DEMO_METRICS)) == without_measurements(manifest(metrics_exported))
    assert sum(path.stat().st_size for path in DEMO_METRICS.rglob("*") if path.is_file()) < 3_000_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "--out, --weights"),
        (["--out", "a"], "--weights"),
        (["--out", "a", "--weights", "trained"], "invalid choice: 'trained'"),
        (["--out", "a", "--weights", "random", "--checkpoint", "b"], "unrecognized arguments: --checkpoint b"),
        (["--out", "a", "--weights", "random", "--fps", "16"], "unrecognized arguments: --fps 16"),
    ],
)
def test_options_that_the_command_has_not_are_wrong_usage(
    capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["metrics", *arguments])
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_repository_in_the_way_or_a_name_that_no_farm_serves_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    assert main(["metrics", "--out", str(tmp_path / "mine"), "--weights", "random"]) == 6
    assert "exists already; --force replaces it" in capsys.readouterr().err
    assert main(["metrics", "--out", str(tmp_path / "new"), "--weights", "random", "--name", "../a"]) == 2
    assert listing(tmp_path) == ["mine"]
