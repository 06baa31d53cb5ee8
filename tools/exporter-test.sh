#!/usr/bin/env bash
# The exporter's checks: ruff, then pytest.
set -euo pipefail
cd "$(dirname "$0")/../exporter"
../.venv/bin/ruff check .
../.venv/bin/ruff format --check .
../.venv/bin/python -m pytest -q "$@"
