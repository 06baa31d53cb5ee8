"""The command line: help without waiting, exit codes, and the default command."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import TINY, edit_json

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


def test_the_export_has_a_name_as_a_command_too(tmp_path: Path) -> None:
    assert main(["repository", "--checkpoint", str(tmp_path), "--out", str(tmp_path / "a")]) == 3
