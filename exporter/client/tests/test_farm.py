"""The client and its example against a whole farm that `vapfarm up` runs: pixels out."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from vapfarm.v1 import farm_pb2
from vapfarm_client import Farm, FarmError, RenderSpec

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = Path(__file__).resolve().parents[1] / "example_render.py"


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    # The database's user must be able to pass through it, which pytest's own folders do not allow.
    folder = Path(tempfile.mkdtemp(prefix="vapfarm-client-"))
    folder.chmod(0o711)
    data = folder / "data"
    command = [str(ROOT / "vapfarm"), "up", "--data", str(data), "--workers", "1", "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("VAPFARM_")}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as up:
        try:
            assert up.stdout is not None
            lines = (json.loads(line) for line in up.stdout)
            assert any(line["kind"] == "ready" for line in lines), "the farm did not start"
            yield json.loads((data / "farm.json").read_text())["grpcAddress"]
        finally:
            up.terminate()
            up.wait(timeout=60)
    shutil.rmtree(folder)


def test_the_example_renders(address: str, tmp_path: Path) -> None:
    command = [sys.executable, str(EXAMPLE), "--address", address, "--image", "demo/image.png", "--reference", "demo/clip.mp4"]
    texts = [
        "--reference-prompt",
        "A disc drifts.",
        "--prompt",
        "A ball rolls.",
        "--steps",
        "2",
        "--out",
        str(tmp_path / "out.mp4"),
    ]
    run = subprocess.run([*command, *texts], cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr
    assert (tmp_path / "out.mp4").read_bytes()[4:8] == b"ftyp"
    assert "job.succeeded" in run.stdout


def test_a_batch_is_watched_listed_and_downloaded(address: str, tmp_path: Path) -> None:
    with Farm(address) as farm:
        image, clip = farm.upload(ROOT / "demo/image.png"), farm.upload(ROOT / "demo/clip.mp4")
        spec = RenderSpec(
            model="demo", image=image, prompt="A ball rolls.", references=[clip], reference_prompts=["A disc."], steps=1
        )
        specs = [RenderSpec(seed=seed) for seed in (1, 2)]
        for each in specs:
            each.MergeFrom(spec)
        job, errors = farm.submit_many(specs)
        assert errors == {}
        kinds = [update.event.kind for update in farm.watch(job.job_id) if update.HasField("event")]
        assert (kinds[0], kinds[-1]) == ("job.submitted", "job.succeeded")
        assert kinds.count("render.succeeded") == 2
        first = farm.download(job.job_id, "mp4", tmp_path / "0.mp4", render_position=0)
        second = farm.download(job.job_id, "mp4", tmp_path / "1.mp4", render_position=1)
        assert first.sha256 != second.sha256
        assert job.job_id in {each.job_id for each in farm.jobs(states=[farm_pb2.JOB_STATE_SUCCEEDED], page_size=1)}


def test_a_wrong_render_is_refused_with_its_fields(address: str) -> None:
    with Farm(address) as farm, pytest.raises(FarmError) as caught:
        farm.submit(RenderSpec(model="no-such-model", steps=0))
    assert caught.value.status == "INVALID_ARGUMENT"
    assert {"render.model", "render.image", "render.steps"} <= {field.field for field in caught.value.fields}
