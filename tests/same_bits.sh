#!/bin/sh
# Compares two builds of tweedie byte by byte: every config in configs/ is trained for 20 steps by both, and sampled from.
# What must be the same: the run's config.toml, its losses, every file of the checkpoint, the samples, the plan.
#
#   sh tests/same_bits.sh OLD NEW [DEVICE…]
#
# OLD and NEW are binaries. DEVICE is what --device takes: unless said otherwise cpu and llvmpipe, Mesa's software driver.
# Large networks are made narrow, and the data sets that do not come with tweedie are replaced by made-up bytes of their
# shape. Exits with 1 where anything differs, and with 2 where NEW refuses what it is asked for. What OLD alone refuses is
# named, and is no failure.
set -u
if [ $# -lt 2 ]; then
    echo "usage: sh tests/same_bits.sh OLD NEW [DEVICE...]" >&2
    exit 2
fi
old=$(realpath "$1") && new=$(realpath "$2") || exit 2
shift 2
if [ $# = 0 ]; then set -- cpu llvmpipe; fi
cd "$(dirname "$0")/.." || exit 2
work=$(mktemp -d) && trap 'rm -rf "$work"' EXIT
export TWEEDIE_CACHE="$work/cache"

# Bytes that look like nothing in particular, the same everywhere: noise COUNT.
noise() { seq 1 1000000 | head -c "$1"; }
mkdir "$work/cifar"
for record in 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3; do
    printf "\\00$record"
    noise $((3000 + record * 7)) | tail -c 2048
    noise 1024
done >"$work/cifar/data_batch_1.bin"
{ printf '\000\000\010\003\000\000\000\024\000\000\000\034\000\000\000\034'; noise 15680; } >"$work/fashion-images-idx3-ubyte"
{ printf '\000\000\010\001\000\000\000\024'; for label in 0 1 2 3 4 5 6 7 0 1 2 3 4 5 6 7 0 1 2 3; do printf "\\00$label"; done; } \
    >"$work/fashion-labels-idx1-ubyte"

# What makes a config small enough: a line of --set arguments for each that needs it.
smaller() {
    case $1 in
    cifar10-ddpm) echo "--set data.path=$work/cifar --set model.channels=8 --set model.groups=4 --set model.blocks=1" \
        "--set train.batch=4 --set sample.n=2 --set sample.steps=5" ;;
    fashion-mnist) echo "--set data.path=$work/fashion-images-idx3-ubyte --set model.channels=8 --set model.groups=4" \
        "--set model.blocks=1 --set train.batch=4 --set sample.n=2 --set sample.steps=5" ;;
    *-unet | *-dit) echo "--set train.batch=16 --set sample.n=4 --set sample.steps=5" ;;
    *) echo "--set sample.n=64 --set sample.steps=10" ;;
    esac
}

failed=0
refused=0
# run BUILD FOLDER ARGUMENT…: runs a build; what it says is shown only if it fails.
run() {
    build=$1 log=$2/log
    shift 2
    "$build" "$@" >"$log" 2>&1 || { tail -n 3 "$log"; return 1; }
}
for device in "$@"; do
    for config in configs/*.toml; do
        name=$(basename "$config" .toml)
        settings=$(smaller "$name")
        for side in old new; do
            eval "build=\$$side"
            folder=$work/$side
            rm -rf "$folder" && mkdir "$folder"
            # shellcheck disable=SC2086 # settings are words
            if grep -q 'kind = "exact"' "$config"; then
                run "$build" "$folder" sample "$config" $settings --device "$device" --out "$folder/samples.npy"
                status=$?
            else
                run "$build" "$folder" train "$config" $settings --set train.steps=20 --set train.evaluate_every=20 \
                    --set train.checkpoint_every=20 --set train.sample_every=0 --device "$device" --out "$folder/run" &&
                    run "$build" "$folder" sample "$folder/run" --device "$device" --out "$folder/samples.npy"
                status=$?
            fi
            eval "status_$side=$status"
            # shellcheck disable=SC2086
            "$build" plan "$config" $settings >"$folder/plan" 2>&1
            # Times differ from run to run, pictures are drawn from what is compared.
            [ -f "$folder/run/metrics.jsonl" ] && sed -i 's/,"timing":{[^}]*}//' "$folder/run/metrics.jsonl"
            rm -f "$folder"/log "$folder"/run/*.png "$folder"/run/*.gif "$folder"/run/lock
        done
        # Keys that only NEW knows are lines more in its config.toml; nothing else may differ there.
        keys=
        was=$work/old/run/config.toml is=$work/new/run/config.toml
        if [ -f "$was" ] && [ -f "$is" ] && ! diff "$was" "$is" | grep -q '^<'; then
            keys=$(diff "$was" "$is" | sed -n 's/^> //p' | tr '\n' ';')
            cp "$was" "$is"
        fi
        if [ $status_new != 0 ]; then
            refused=1
            echo "REFUSED   $device $name"
        elif [ $status_old != 0 ]; then
            echo "new       $device $name: the old build refuses it"
        elif difference=$(diff -rq "$work/old" "$work/new"); then
            echo "same      $device $name: $(find "$work/new" -type f | wc -l) files${keys:+, new keys: $keys}"
        else
            failed=1
            echo "DIFFERENT $device $name"
            echo "$difference" | sed "s#$work/##g; s/^/    /"
        fi
    done
done
if [ $refused = 1 ]; then exit 2; fi
exit $failed
