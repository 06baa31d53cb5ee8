#!/usr/bin/env bash
# Makes .venv at the project's root with the locked packages, `vapfarm-export` and the Python client in it; a second run is quick.
set -euo pipefail
cd "$(dirname "$0")/.."
wanted=$(cat exporter/requirements.lock exporter/pyproject.toml exporter/client/*.{py,toml} proto/vapfarm/v1/*.proto | sha256sum)
if [ "$(cat .venv/.vapfarm-exporter 2>/dev/null || true)" = "$wanted" ]; then exit 0; fi
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11) and "the exporter needs Python 3.11 or later")'
[ -x .venv/bin/python ] || python3 -m venv .venv
pip=(.venv/bin/python -m pip --disable-pip-version-check --quiet)
"${pip[@]}" install --no-deps -r exporter/requirements.lock
.venv/bin/python exporter/client/generate.py
"${pip[@]}" install --no-deps --no-build-isolation -e exporter -e exporter/client
"${pip[@]}" check
.venv/bin/python -c 'import torch, sys; sys.exit(torch.version.cuda and "torch is a CUDA build; install the CPU build")'
echo "$wanted" > .venv/.vapfarm-exporter
