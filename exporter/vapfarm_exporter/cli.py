"""The command `vapfarm-export`. Without a subcommand it exports a model repository, its first and main job; `metrics`
writes the repository of metric networks.

Exit codes: 0 done, 2 wrong usage, 3 bad checkpoint, 4 unsupported checkpoint, 5 an engine differs from its module,
6 the output folder cannot be written. Progress goes to standard error.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from .errors import ExportError, RequestError

_DESCRIPTION = "Export a Video-As-Prompt checkpoint to a model repository (ONNX engines, config.pbtxt, farm.json)."
_EXAMPLES = """\
examples:
  vapfarm-export --checkpoint ckpts/Video-As-Prompt-CogVideoX-5B --out models/vap-cogvideox
  vapfarm-export --checkpoint ckpts/Video-As-Prompt-Wan2.1-14B --out models/vap-wan --height 480 --width 832
  vapfarm-export --checkpoint test/fixtures/vap-cogvideox-tiny --out models/demo --weights random --force
  vapfarm-export metrics --out models/demo-metrics --weights random

exit codes: 0 done, 2 wrong usage, 3 bad checkpoint, 4 unsupported checkpoint,
            5 an engine differs from its module, 6 the output cannot be written
"""


def _positive(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def _frame_rate(text: str) -> int:
    value = _positive(text)
    if value > 240:
        raise argparse.ArgumentTypeError(f"{value} is more than 240 frames per second")
    return value


def _checked_label(text: str, option: str) -> str:
    # The farm's manifest reader holds names to the same.
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}", text):
        raise RequestError(f"{option} {text!r} must be up to 100 letters, digits, '.', '_' or '-', the first no sign")
    return text


def _parser_of(prog: str, description: str) -> argparse.ArgumentParser:
    """What every command that writes a repository takes."""
    parser = argparse.ArgumentParser(
        prog=prog,
        description=description,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="model repository to write, e.g. models/NAME")
    parser.add_argument("--name", help="the model's name (default: the last part of --out)")
    parser.add_argument("--model-version", default="1", metavar="VERSION", help="the model's version (default: 1)")
    parser.add_argument("--force", action="store_true", help="replace --out if it exists")
    return parser


def _parser() -> argparse.ArgumentParser:
    parser = _parser_of("vapfarm-export", _DESCRIPTION)
    parser.add_argument("--checkpoint", type=Path, required=True, metavar="DIR", help="checkpoint folder (has model_index.json)")
    parser.add_argument("--weights", choices=("trained", "random"), default="trained", help="what the weights are, for farm.json")
    parser.add_argument("--precision", choices=("fp32",), default="fp32", help="precision that engines compute in")
    parser.add_argument("--fps", type=_frame_rate, default=16, help="frames per second of rendered videos (default: 16)")
    sizes = parser.add_argument_group("sizes", "CogVideoX checkpoints have one size and length; Wan ones take any of these.")
    sizes.add_argument("--height", type=_positive, help="pixels, a multiple of 16 (default: 480)")
    sizes.add_argument("--width", type=_positive, help="pixels, a multiple of 16 (default: 832)")
    sizes.add_argument("--frames", type=_positive, help="frames of a video, 1 + a multiple of 4 (default: 49)")
    sizes.add_argument(
        "--max-references", type=int, choices=(1, 2, 3), help="most references of one render (default: 3, Wan: 1 and no other)"
    )
    return parser


def _metrics_parser() -> argparse.ArgumentParser:
    parser = _parser_of("vapfarm-export metrics", "Write the model repository of VBench's metric networks.")
    parser.add_argument(
        "--weights", choices=("random",), required=True, help="random: small networks of the same boundaries, for demos and tests"
    )
    return parser


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _identity(options: argparse.Namespace) -> tuple[Path, str, str]:
    """Where a repository goes, and its name and version."""
    out = options.out.absolute()
    return out, _checked_label(options.name or out.name, "--name"), _checked_label(options.model_version, "--model-version")


def _export(arguments: Sequence[str]) -> None:
    options = _parser().parse_args(arguments)
    # torch takes seconds to import; --help and wrong usage need not wait for it.
    from .manifest import ModelName
    from .repository import ExportRequest, export_repository
    from .variant import RequestedSizes

    out, name, version = _identity(options)
    request = ExportRequest(
        checkpoint=options.checkpoint,
        out=out,
        model=ModelName(name, version, options.weights, options.fps),
        sizes=RequestedSizes(options.height, options.width, options.frames, options.max_references),
        precision=options.precision,
        force=options.force,
    )
    export_repository(request, _progress)


def _export_metrics(arguments: Sequence[str]) -> None:
    options = _metrics_parser().parse_args(arguments)
    from .metrics.repository import MetricsRequest, export_metrics

    out, name, version = _identity(options)
    export_metrics(MetricsRequest(out, name, version, options.force), _progress)


# Further commands get a name here; a first argument that names none belongs to the export.
_COMMANDS: dict[str, Callable[[Sequence[str]], None]] = {"repository": _export, "metrics": _export_metrics}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code (argparse itself exits with 2 on wrong usage)."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    command = _COMMANDS.get(given[0]) if given else None
    try:
        (command or _export)(given[1:] if command else given)
    except ExportError as error:
        print(f"vapfarm-export: {error}", file=sys.stderr)
        return error.exit_code
    return 0
