"""Makes vapfarm/v1/*_pb2.py (git-ignored) from the farm's protos, with type stubs."""

import sys
from pathlib import Path

import google.api
from grpc_tools import protoc

HERE = Path(__file__).resolve().parent
PROTOS = HERE.parents[1] / "proto"
NAMES = ("bench", "books", "farm", "models", "operator", "stage")


def main() -> int:
    """Run the compiler; returns its exit code."""
    google_protos = Path(next(iter(google.api.__path__))).parents[1]
    grpc_tools_protos = Path(protoc.__file__).parent / "_proto"
    includes = [f"--proto_path={folder}" for folder in (PROTOS, google_protos, grpc_tools_protos)]
    outputs = [f"--{kind}_out={HERE}" for kind in ("python", "pyi", "grpc_python")]
    files = [str(PROTOS / "vapfarm/v1" / f"{name}.proto") for name in NAMES]
    (HERE / "vapfarm/v1").mkdir(parents=True, exist_ok=True)
    return int(protoc.main(["protoc", *includes, *outputs, *files]))


if __name__ == "__main__":
    sys.exit(main())
