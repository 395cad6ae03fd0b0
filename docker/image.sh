#!/usr/bin/env bash
# docker/image.sh [--prebuilt] [TAG]: builds Tandem's image, by default tandem:dev. --prebuilt packs the
# binaries of build/release instead of building the sources inside the engine.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source docker/engine.sh
trap stop_engine EXIT

prebuilt=
if [[ ${1:-} == --prebuilt ]]; then prebuilt=1 && shift; fi
tag=${1:-tandem:dev}
docker info > /dev/null 2>&1 || die "no container engine answers: start one, or see ./dev e2e, which does"
options=(--tag "$tag" --build-arg "REVISION=$(revision)")
if [[ -n $prebuilt ]]; then
  docker/rootfs.sh build/image
  # Not a target of docker/Dockerfile: engines without BuildKit build every stage before a target.
  {
    sed -n '/^FROM scratch AS frame/,/^$/p' docker/Dockerfile
    printf '%s\n' 'FROM frame' 'COPY rootfs /' 'COPY --chown=10001:10001 state /var/lib/tandem' \
      'WORKDIR /var/lib/tandem'
  } > build/image/Dockerfile
  docker build --quiet "${options[@]}" build/image > build/image/build.log 2>&1 \
    || { cat build/image/build.log >&2; die "the image could not be built"; }
else
  base=$(debian_base)
  docker build --network=host --build-arg "BASE=$base" --build-arg PIP_EXTRA_INDEX_URL \
    --file docker/Dockerfile "${options[@]}" .
fi
say "built $tag: $(docker image inspect -f '{{.Size}}' "$tag" | awk '{printf "%.0f MB", $1 / 1e6}')"
