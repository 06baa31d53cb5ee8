#!/usr/bin/env bash
# Builds an image: build.sh vapfarm|vapfarm-gpu [tag]. Asks for what the image is made of before an engine starts.
#
#   BASE                Debian 12 or newer, by digest: debian:bookworm-slim@sha256:…
# and for vapfarm-gpu
#   GPU_BASE            CUDA's runtime and cuDNN 9 on Debian or Ubuntu, with NVIDIA's package source, by digest
#   TENSORRT            version of libnvinfer10 and its like in that source: 10.x.y.z-1+cuda13.n
#   ORT_CUDA_SHA256, ORT_TENSORRT_SHA256, ORT_SHARED_SHA256   of onnxruntime-node's provider libraries
# ENGINE (else docker) is called as `$ENGINE build`.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${1-}
version=$(sed -n 's/^  "version": "\(.*\)",$/\1/p' package.json)
tag=${2-vapfarm/$target:$version}

asked=()
need() { # need NAME PATTERN WHAT
  local value=${!1-}
  if ! [[ $value =~ ^$2$ ]]; then
    echo "build.sh: $1 must be $3${value:+, not \"$value\"}" >&2
    exit 2
  fi
  asked+=(--build-arg "$1=$value")
}
digest='[^@[:space:]]+@sha256:[0-9a-f]{64}'
case $target in
  vapfarm) need BASE "$digest" "name@sha256:digest" ;;
  vapfarm-gpu)
    need BASE "$digest" "name@sha256:digest"
    need GPU_BASE "$digest" "name@sha256:digest"
    need TENSORRT '10\.[0-9.]+-1\+cuda1[0-9]\.[0-9]+' "a version as in NVIDIA's package source, 10.x.y.z-1+cuda13.n"
    for name in ORT_CUDA_SHA256 ORT_TENSORRT_SHA256 ORT_SHARED_SHA256; do need "$name" '[0-9a-f]{64}' "64 hex digits"; done
    ;;
  *)
    echo "usage: build.sh vapfarm|vapfarm-gpu [tag]; what it reads from the environment stands at its top" >&2
    exit 2
    ;;
esac
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
exec "${ENGINE:-docker}" build --file deploy/docker/Dockerfile --target "$target" --tag "$tag" "${asked[@]}" \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" .
