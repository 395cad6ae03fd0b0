#!/usr/bin/env bash
# docker/e2e.sh: builds the image from build/release's binaries, brings the whole Compose project up,
# waits until the policy was updated, and takes it down: every service must become healthy, be scraped,
# and exit 0 on SIGTERM. Starts a container engine of its own where none answers.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source docker/engine.sh

work=build/e2e
project=tandem-e2e
up=
finish() {
  local code=$?
  if [[ -n $up ]]; then
    if [[ $code != 0 ]]; then compose ps -a >&2 || true; compose logs --no-color --tail 30 >&2 || true; fi
    compose down --volumes --remove-orphans --timeout 5 > /dev/null 2>&1 || true
  fi
  stop_engine
  exit "$code"
}
trap finish EXIT
compose() { "${compose_command[@]}" --project-name "$project" --file deploy/compose/compose.yaml "$@"; }

with_engine
if docker compose version > /dev/null 2>&1; then compose_command=(docker compose)
elif command -v docker-compose > /dev/null; then compose_command=(docker-compose)
else die "neither 'docker compose' nor docker-compose is installed (see packages/debian-e2e.txt)"; fi

say "building the image"
mkdir -p "$work"
docker/image.sh --prebuilt tandem:e2e > /dev/null

# Prometheus from Debian's package, so that nothing is pulled.
folder=$work/prometheus
rm -rf "$folder" && mkdir -p "$folder"/{bin,lib,lib64,data}
program=$(command -v prometheus) || die "no program prometheus (./dev e2e unpacks it from Debian's package)"
install -D "$program" "$folder/bin/prometheus"
ldd "$program" | grep -o '/[^ ]*' | while read -r library; do install -D "$library" "$folder$library"; done
cat > "$folder/Dockerfile" << 'DOCKERFILE'
FROM scratch
COPY bin /bin
COPY lib /lib
COPY lib64 /lib64
COPY --chown=65534:65534 data /prometheus
USER 65534:65534
ENTRYPOINT ["/bin/prometheus"]
DOCKERFILE
docker build --quiet --tag tandem-prometheus:e2e "$folder" > "$work/build.log" 2>&1 \
  || { cat "$work/build.log" >&2; die "Prometheus' image could not be built"; }

# A recipe that reaches its first updates in seconds.
cat > "$work/recipe.yaml" << 'YAML'
env: {name: inverted_pendulum}
pace: {warmup_steps: 100, refit_interval: 100, updates_per_step: 2}
stop: {max_env_steps: 100000}
model: {members: 3, elites: 2, hidden: [64, 64], max_gradient_steps: 50}
imagination: {rollouts_per_refit: 2000}
policy: {hidden: [64, 64]}
YAML
export TANDEM_IMAGE=tandem:e2e PROMETHEUS_IMAGE=tandem-prometheus:e2e TANDEM_RECIPE=$PWD/$work/recipe.yaml

say "starting the services"
up=1
compose up --detach > "$work/up.log" 2>&1 || { cat "$work/up.log" >&2; die "Compose could not start the services"; }

# Asks Prometheus, as Python because neither curl nor jq need be there; prints the sum of the series.
query() {
  python3 - "$1" << 'PYTHON'
import json, sys, urllib.parse, urllib.request
url = "http://127.0.0.1:9090/api/v1/query?" + urllib.parse.urlencode({"query": sys.argv[1]})
try:
    result = json.load(urllib.request.urlopen(url, timeout=3))["data"]["result"]
    print(int(sum(float(series["value"][1]) for series in result)))
except OSError:
    print(0)
PYTHON
}
# await WHAT SECONDS COMMAND...: until the command succeeds.
await() {
  local what=$1 seconds=$2 begin=$SECONDS
  shift 2
  until "$@"; do
    ((SECONDS - begin < seconds)) || die "$what: not within $seconds s"
    sleep 1
  done
  say "$what after $((SECONDS - begin)) s"
}
services=(replay_buffer model_trainer policy_trainer actor_0 actor_1 monitor)
all_healthy() {
  local service
  for service in "${services[@]}"; do
    [[ $(docker inspect -f '{{.State.Health.Status}}' "$(compose ps -q "$service")") == healthy ]] || return 1
  done
}
all_scraped() { [[ $(query 'up{job="tandem"}') == "${#services[@]}" ]]; }
policy_updated() { [[ $(query 'tandem_replay_policy_updates') -gt 0 ]]; }
await "all services are healthy" 120 all_healthy
await "Prometheus reads all services" 60 all_scraped
await "the policy has been updated" 180 policy_updated

say "stopping the services"
containers=$(compose ps -q)
compose stop > /dev/null 2>&1
failed=0
for container in $containers; do
  code=$(docker inspect -f '{{.State.ExitCode}}' "$container")
  [[ $code == 0 ]] || { say "$(docker inspect -f '{{.Name}}' "$container") exited with $code"; failed=1; }
done
[[ $failed == 0 ]] || die "not every service exited with 0"
say "every service exited with 0"
