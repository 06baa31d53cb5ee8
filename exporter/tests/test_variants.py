"""Variants are files beside a neutral core: the core names none, and each variant names only itself."""

import ast
from pathlib import Path

import pytest
from tiny_models import TINY, TINY_WAN

import vapfarm_exporter
from vapfarm_exporter.errors import UnsupportedConfigError
from vapfarm_exporter.variants import VARIANTS, variant_of

SOURCES = sorted(Path(str(vapfarm_exporter.__file__)).parent.glob("*.py"))
NAMES = ("cogvideox", "wan")


def imported(path: Path) -> set[str]:
    """The package's own modules that a file imports."""
    nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    return {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module}


def of_variant(module: str) -> str | None:
    return next((name for name in NAMES if module.startswith(f"{name}_")), None)


@pytest.mark.parametrize("path", [path for path in SOURCES if path.stem != "variants"], ids=lambda path: path.stem)
def test_only_a_variants_own_files_import_its_files(path: Path) -> None:
    assert {of_variant(module) for module in imported(path)} <= {None, of_variant(path.stem)}


@pytest.mark.parametrize("path", [p for p in SOURCES if of_variant(p.stem) is None and p.stem not in ("cli", "variants")])
def test_the_neutral_files_branch_on_no_variant(path: Path) -> None:
    strings = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [value for value in strings if value in NAMES or value in VARIANTS]


def test_a_checkpoint_is_known_by_its_pipelines_class(checkpoint: Path) -> None:
    assert (variant_of(TINY).name, variant_of(TINY_WAN).name) == NAMES
    (checkpoint / "model_index.json").write_text('{"_class_name": "WanPipeline"}')
    with pytest.raises(UnsupportedConfigError, match=r"model_index\.json: _class_name = 'WanPipeline' is not supported"):
        variant_of(checkpoint)
