#!/usr/bin/env bash
# docker/image.sh [--prebuilt] [TAG]: builds Tandem's image, by default tandem:dev. --prebuilt packs the
# binaries of build/release instead of building the sources inside the engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source docker/engine.sh
trap stop_engine EXIT

target=runtime
if [[ ${1:-} == --prebuilt ]]; then target=prebuilt && shift; fi
tag=${1:-tandem:dev}
docker info > /dev/null 2>&1 || die "no container engine answers: start one, or see ./dev e2e, which does"
options=(--tag "$tag" --build-arg "REVISION=$(revision)" --target "$target" --file docker/Dockerfile)
if [[ $target == prebuilt ]]; then
  docker/rootfs.sh build/image
  docker build --quiet "${options[@]}" build/image > build/image/build.log 2>&1 \
    || { cat build/image/build.log >&2; die "the image could not be built"; }
else
  base=$(debian_base)
  docker build --network=host --build-arg "BASE=$base" --build-arg PIP_EXTRA_INDEX_URL "${options[@]}" .
fi
say "built $tag: $(docker image inspect -f '{{.Size}}' "$tag" | awk '{printf "%.0f MB", $1 / 1e6}')"
