#!/usr/bin/env bash
# docker/rootfs.sh FOLDER: makes FOLDER/rootfs, the file system of Tandem's image, from the binaries in
# build/release/bin, and FOLDER/state, the empty home of a service's files. Needs no root.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

out=$1
programs=(tandem tandem_replay_buffer tandem_model_trainer tandem_policy_trainer tandem_actor tandem_monitor)
rm -rf "$out/rootfs" "$out/state"
root=$out/rootfs
mkdir -p "$root"/{etc/ssl/certs,etc/tandem,opt/tandem/{bin,lib,share},run,tmp,usr/lib,usr/lib64,var/lib} "$out/state"
chmod 1777 "$root/tmp"
ln -s usr/lib "$root/lib"
ln -s usr/lib64 "$root/lib64"

# The binaries, and every library that the loader would load for them: the system's stay where they
# are, those of Python wheels go to /opt/tandem/lib.
libraries() { ldd "$@" | sed -n -e 's/.* => \(\/[^ ]*\) (.*/\1/p' -e 's/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' | sort -u; }
for program in "${programs[@]}"; do
  install -m 755 --strip "build/release/bin/$program" "$root/opt/tandem/bin/$program"
done
system=()
while read -r library; do
  case $library in
    /lib/* | /lib64/* | /usr/lib/* | /usr/lib64/*)
      target=$root/usr${library#/usr}
      # dpkg knows some of them as /usr/lib/..., others as /lib/...
      file=$(readlink -f "$library")
      system+=("$file" "${file#/usr}") ;;
    *) target=$root/opt/tandem/lib/$(basename "$library") ;;
  esac
  mkdir -p "$(dirname "$target")"
  cp -L "$library" "$target"
done < <(for program in "${programs[@]}"; do libraries "build/release/bin/$program"; done | sort -u)

# A CUDA build of LibTorch opens further libraries of the nvidia-* wheels at run time.
site=$(.venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
find "$site" -path '*/nvidia/*/lib/*.so*' -exec cp -L {} "$root/opt/tandem/lib/" \;

# What the programs read.
assets=$(sed -n 's/^TANDEM_GYMNASIUM_ASSETS:[A-Z]*=//p' build/release/CMakeCache.txt)
cp -r "$assets" "$root/opt/tandem/share/assets"
cp -r recipes "$root/opt/tandem/recipes"
# For images that add Python to this one.
install -Dm 644 python/tandem_env.py "$root/opt/tandem/share/python/tandem_env.py"
cp LICENSE "$root/opt/tandem/LICENSE"
echo 'root:x:0:0:root:/:/none
tandem:x:10001:10001:Tandem:/var/lib/tandem:/none' > "$root/etc/passwd"
echo 'root:x:0:
tandem:x:10001:' > "$root/etc/group"
echo 'hosts: files dns' > "$root/etc/nsswitch.conf"
if [[ -e /etc/ssl/certs/ca-certificates.crt ]]; then cp -L /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"; fi

# What is inside, for the licences' sake: Debian packages and Python wheels by version, and their terms.
mkdir -p "$root/opt/tandem/share/licenses"
{
  { dpkg -S "${system[@]}" 2> /dev/null || true; } | cut -d: -f1 | sort -u | while read -r package; do
    dpkg-query -W -f 'deb ${Package} ${Version}\n' "$package" | sort -u
    if [[ -e /usr/share/doc/$package/copyright ]]; then
      cp -L "/usr/share/doc/$package/copyright" "$root/opt/tandem/share/licenses/$package"
    fi
  done
  .venv/bin/python -m pip freeze | grep -iE '^(torch|mujoco|gymnasium|nvidia)' | sed 's/^/pypi /; s/==/ /'
} > "$root/opt/tandem/share/contents.txt"
for wheel in torch mujoco gymnasium; do
  mkdir -p "$root/opt/tandem/share/licenses/$wheel"
  find "$site" -ipath "$site/$wheel-*.dist-info/*" \( -iname '*licen*' -o -iname 'notice*' \) -type f \
    -exec cp {} "$root/opt/tandem/share/licenses/$wheel/" \;
done
printf 'rootfs: %s in %s files\n' "$(du -sh "$root" | cut -f1)" "$(find "$root" -type f | wc -l)" >&2
