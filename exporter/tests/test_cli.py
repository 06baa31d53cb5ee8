"""The command line: help without waiting, exit codes, and the default command."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import edit_json
from tiny_models import TINY, TINY_WAN

from vapfarm_exporter.cli import main


def test_help_shows_examples_and_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert "examples:\n  vapfarm-export --checkpoint" in text
    assert "exit codes:" in text


def test_help_does_not_load_torch() -> None:
    code = "import sys\nfrom vapfarm_exporter.cli import main\ntry: main(['--help'])\nfinally: print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines()[-1] == "False"


@pytest.mark.parametrize(
    "arguments", [[], ["--checkpoint", "a"], ["--checkpoint", "a", "--out", "b", "--precision", "int4"], ["engines"]]
)
def test_wrong_usage_ends_with_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2


def export(checkpoint: Path, out: Path, *more: str) -> int:
    return main(["--checkpoint", str(checkpoint), "--out", str(out), *more])


def test_refusals_have_their_exit_codes_and_one_clear_line(
    tmp_path: Path, checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(tmp_path / "nowhere", tmp_path / "models/a") == 3
    assert "model_index.json is missing" in capsys.readouterr().err
    edit_json(checkpoint / "transformer/config.json", ofs_embed_dim=512)
    assert export(checkpoint, tmp_path / "models/a") == 4
    assert "vapfarm-export: transformer/config.json: ofs_embed_dim = 512 is not supported" in capsys.readouterr().err
    assert export(TINY, tmp_path) == 6
    assert "exists already; --force replaces it" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--height", "50"), "height 50 and width 832 must be multiples of 16"),
        (("--frames", "48"), "frames 48 must be 1 + a multiple of 4"),
        (("--max-references", "3"), "max_references 3: this checkpoint renders max_references 1 only"),
    ],
)
def test_sizes_that_a_wan_model_cannot_have_are_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: str
) -> None:
    assert export(TINY_WAN, tmp_path / "models/a", *options) == 2
    assert f"vapfarm-export: {words}" in capsys.readouterr().err


@pytest.mark.parametrize("options", [("--name", "../a"), ("--name", "a b"), ("--model-version", "")])
def test_a_name_that_no_farm_would_serve_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, str]
) -> None:
    assert export(TINY_WAN, tmp_path / "models/a", *options) == 2
    assert f"vapfarm-export: {options[0]} {options[1]!r} must be up to 100 letters" in capsys.readouterr().err


@pytest.mark.parametrize(("fps", "words"), [("241", "more than 240"), ("0", "from 1 on"), ("ten", "'ten' is not a whole number")])
def test_a_frame_rate_that_no_video_has_is_wrong_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], fps: str, words: str
) -> None:
    with pytest.raises(SystemExit) as ended:
        export(TINY_WAN, tmp_path / "models/a", "--fps", fps)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_a_cogvideox_model_has_its_checkpoints_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert export(TINY, tmp_path / "models/a", "--height", "480") == 2
    assert "vapfarm-export: height 480: this checkpoint renders height 48 only" in capsys.readouterr().err
    with pytest.raises(SystemExit) as ended:
        export(TINY, tmp_path / "models/a", "--frames", "0")
    assert ended.value.code == 2


def test_the_export_has_a_name_as_a_command_too(tmp_path: Path) -> None:
    assert main(["repository", "--checkpoint", str(tmp_path), "--out", str(tmp_path / "a")]) == 3
