#!/usr/bin/env bash
# Copy models, Argos packages and data sets from this machine to the cluster's models volume: make load-models
# GENERATOR_MODELS_DIR, TRANSLATOR_PACKAGES_DIR and COORDINATOR_DATASETS_DIR name the folders, as for `make up`.
# What is there under the same name is overwritten; nothing is removed.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() { printf '%s\n' "$2" >&2; exit "$1"; }
kube() { kubectl --namespace plumbline "$@"; }

# The shell's variable over that in .env over tinyworld, as `make up` does it.
folder() {
    local given=${!1:-}
    [ -n "$given" ] || given=$(sed -n "s/^$1=//p" .env 2>/dev/null | tail -n 1)
    echo "${given:-$2}"
}

copy() {
    if [ ! -d "$1" ]; then echo "$2: there is no folder $1; nothing to copy"; return; fi
    echo "$2: copying $(du -shL "$1" | cut -f 1) from $1"
    # Without the folder itself, whose owner and mode are the volume's.
    (cd "$1" && find . -mindepth 1 -maxdepth 1 -print0 | tar -c -h -f - --null -T -) |
        kube exec --stdin models-loader -- tar --extract --no-same-owner --directory "/library/$2"
}

image=$(kube get deployment translator --output jsonpath='{.spec.template.spec.containers[0].image}' 2>/dev/null) ||
    fail 3 "There is no Plumbline in the cluster that kubectl points at: make deploy OVERLAY=... first."
trap 'kube delete pod models-loader --ignore-not-found --wait=false >/dev/null' EXIT
kube delete pod models-loader --ignore-not-found
kubectl kustomize k8s/loader | sed "s|image: plumbline-translator.*|image: $image|" | kubectl apply --filename -
kube wait pod/models-loader --for=condition=Ready --timeout=300s
copy "$(folder GENERATOR_MODELS_DIR var/tinyworld/models)" models
copy "$(folder TRANSLATOR_PACKAGES_DIR var/tinyworld/argos/packages)" argos
copy "$(folder COORDINATOR_DATASETS_DIR var/datasets)" datasets
kube rollout restart deployment/translator # it reads its packages when it starts; the others look when asked
kube rollout status deployment/translator --timeout=15m
