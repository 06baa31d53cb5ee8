#!/usr/bin/env bash
# Generates services/gen (git-ignored): protobuf with ts-proto, the google.rpc details, the protos' descriptors, the Prisma client.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$PWD/node_modules/.bin:$PATH"
mkdir -p services/gen
rpc=node_modules/google-proto-files/google/rpc
buf generate --path proto/vapfarm --path "$rpc/error_details.proto" --path "$rpc/status.proto"
# What the HTTP mapping and the OpenAPI document are made from: descriptors with their comments, and those of failures' details.
buf build -o services/gen/farm.binpb --path proto/vapfarm --path "$rpc/error_details.proto" --path "$rpc/status.proto"

# The client is made by WebAssembly: the schema engine is never run, and named only so that nothing is downloaded.
PRISMA_SCHEMA_ENGINE_BINARY=/bin/true prisma generate --schema prisma/schema.prisma --no-hints
