# shellcheck shell=bash
# Sourced. with_engine makes sure that a container engine answers: the one there is, or one started for
# this script alone (by root, with Debian's docker.io), which ends with it and keeps nothing.

engine_folder=
engine_pid=
say() { printf '%s: %s\n' "$(basename "$0" .sh)" "$*" >&2; }
die() { say "error: $*"; exit 1; }

with_engine() {
  if docker info > /dev/null 2>&1; then return; fi
  command -v dockerd > /dev/null || die "no container engine answers, and there is no dockerd to start one;
  install what packages/debian-e2e.txt lists"
  [[ $(id -u) == 0 ]] || die "no container engine answers, and starting one takes root"
  engine_folder=$(mktemp -d)
  export DOCKER_HOST=unix://$engine_folder/docker.sock
  # First as it comes; then without iptables, which some kernels lack; then with a slower storage.
  local options
  for options in "" "--iptables=false --ip6tables=false" \
    "--iptables=false --ip6tables=false --bridge=none" \
    "--iptables=false --ip6tables=false --bridge=none --storage-driver=vfs"; do
    # shellcheck disable=SC2086
    dockerd --host "$DOCKER_HOST" --data-root "$engine_folder/data" --exec-root "$engine_folder/exec" \
      --pidfile "$engine_folder/docker.pid" $options > "$engine_folder/dockerd.log" 2>&1 &
    engine_pid=$!
    for _ in $(seq 60); do
      if docker info > /dev/null 2>&1; then say "started a container engine${options:+ ($options)}"; return; fi
      kill -0 "$engine_pid" 2> /dev/null || break
      sleep 0.5
    done
    stop_engine keep
  done
  tail -n 20 "$engine_folder/dockerd.log" >&2
  die "the container engine does not start"
}

# Ends the engine that with_engine started, if any.
stop_engine() {
  if [[ -n $engine_pid ]] && kill -0 "$engine_pid" 2> /dev/null; then
    kill "$engine_pid"
    wait "$engine_pid" 2> /dev/null || true
  fi
  engine_pid=
  if [[ -n $engine_folder && ${1:-} != keep ]]; then
    umount "$engine_folder"/exec/netns/* 2> /dev/null || true
    rm -rf "$engine_folder" || true
  fi
}

# Where Debian cannot be pulled, makes it from Debian's packages: prints the name of a base image.
debian_base() {
  local wanted=debian:12-slim folder mirror
  if docker image inspect "$wanted" > /dev/null 2>&1 || timeout 60 docker pull -q "$wanted" > /dev/null 2>&1; then
    echo "$wanted"
    return
  fi
  command -v debootstrap > /dev/null || die "$wanted cannot be pulled, and debootstrap is not installed"
  say "$wanted cannot be pulled: making a base image with debootstrap"
  folder=$(mktemp -d)
  mirror=$(sed -n -e 's/^URIs: *\([^ ]*\/debian\/\?\)$/\1/p' /etc/apt/sources.list.d/*.sources 2> /dev/null | head -n 1)
  debootstrap --variant=minbase --include=ca-certificates bookworm "$folder" "${mirror:-http://deb.debian.org/debian}" \
    > "$folder.log" 2>&1 || { tail -n 5 "$folder.log" >&2; die "debootstrap failed"; }
  tar -C "$folder" -c . | docker import - tandem-base:bookworm > /dev/null
  rm -rf "$folder" "$folder.log"
  echo tandem-base:bookworm
}

revision() { git describe --always --dirty 2> /dev/null || echo unknown; }
