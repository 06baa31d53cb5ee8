#!/usr/bin/env bash
# Generates services/gen (git-ignored): protobuf with ts-proto, the google.rpc details, the Prisma client.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
mkdir -p services/gen
(cd proto && buf generate)
rpc=node_modules/google-proto-files/google/rpc
buf generate node_modules/google-proto-files --template proto/buf.gen.google.yaml --path "$rpc/error_details.proto" --path "$rpc/status.proto"

# The client is made by WebAssembly: the schema engine is never run, and named only so that nothing is downloaded.
PRISMA_SCHEMA_ENGINE_BINARY=/bin/true prisma generate --schema prisma/schema.prisma --no-hints
