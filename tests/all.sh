#!/bin/sh
# Runs every test, in release mode. The tests of kernels and of replay need a Vulkan driver; where none is installed, this
# installs Mesa's software driver (lavapipe) on Debian and Ubuntu, and says what to install elsewhere.
# Arguments go to cargo test; `--sweeps` runs more cases of each property instead. What this machine cannot run is listed at
# the end.
set -eu
cd "$(dirname "$0")/.."

has_driver() {
    for folder in /usr/share/vulkan/icd.d /usr/local/share/vulkan/icd.d /etc/vulkan/icd.d "${XDG_DATA_HOME:-${HOME:-/}/.local/share}/vulkan/icd.d"; do
        if ls "$folder"/*.json >/dev/null 2>&1; then return 0; fi
    done
    test -n "${VK_DRIVER_FILES:-${VK_ICD_FILENAMES:-}}"
}
has_loader() {
    ldconfig -p 2>/dev/null | grep -q 'libvulkan\.so\.1' || ls /usr/lib*/libvulkan.so.1 /usr/lib/*/libvulkan.so.1 >/dev/null 2>&1
}
if [ "$(uname)" = Linux ] && ! { has_driver && has_loader; }; then
    if ! command -v apt-get >/dev/null; then
        echo "tests/all.sh: no Vulkan driver found; install Mesa's lavapipe (Fedora: mesa-vulkan-drivers vulkan-loader, Arch: vulkan-swrast vulkan-icd-loader)" >&2
        exit 1
    fi
    sudo=
    if [ "$(id -u)" != 0 ]; then sudo=sudo; fi
    $sudo apt-get update -qq
    $sudo env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
# Mesa asks for a folder of this user's own, and says so in every process where there is none.
if [ -z "${XDG_RUNTIME_DIR:-}" ]; then
    mkdir -m 700 "$scratch/runtime"
    export XDG_RUNTIME_DIR="$scratch/runtime"
fi
# Where tests write what this machine cannot run (tests/common/skip.rs).
export TWEEDIE_SKIPPED="$scratch/skipped"

status=0
case "${1:-}" in
'')
    # Examples are built by the lints, and by whoever wants them.
    cargo test --locked --release --no-fail-fast --tests || status=$?
    cargo test --locked --release --doc || status=$?
    ;;
--sweeps)
    # Other cases of each property, and more of them.
    shift
    export TWEEDIE_PROPERTY_CASES="${TWEEDIE_PROPERTY_CASES:-50}" TWEEDIE_PROPERTY_SEED="${TWEEDIE_PROPERTY_SEED:-$(date +%s)}"
    echo "TWEEDIE_PROPERTY_SEED=$TWEEDIE_PROPERTY_SEED TWEEDIE_PROPERTY_CASES=$TWEEDIE_PROPERTY_CASES"
    cargo test --locked --release --no-fail-fast --test properties "$@" || status=$?
    ;;
*) cargo test --locked --release "$@" || status=$? ;;
esac
if [ -s "$TWEEDIE_SKIPPED" ]; then
    echo "skipped, as this machine cannot run it:"
    sort -u "$TWEEDIE_SKIPPED" | sed 's/^/    /'
else
    echo "nothing was skipped"
fi
exit $status
