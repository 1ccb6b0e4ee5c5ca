#!/usr/bin/env bash
# Apply an overlay to the cluster that kubectl points at, wait until it runs, and say what comes next: make deploy
#   scripts/deploy.sh OVERLAY     a name in k8s/overlays, or a folder with a kustomization.yaml
# Harmless when repeated. Ends with 1: not ready in time, 2: something is missing or wrong, 3: no cluster answers.
set -euo pipefail
cd "$(dirname "$0")/.."
SECRET=plumbline-secrets OURS=app.kubernetes.io/part-of=plumbline

fail() { printf '%s\n' "$2" >&2; exit "$1"; }
kube() { kubectl --namespace plumbline "$@"; }
random() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }

overlay_folder() {
    for folder in "k8s/overlays/${1:-}" "${1:-}"; do
        if [ -n "${1:-}" ] && [ -f "$folder/kustomization.yaml" ]; then echo "$folder"; return; fi
    done
    fail 2 "make deploy OVERLAY=...: one of $(basename -a k8s/overlays/* | paste -sd ' ' -), or a folder with a \
kustomization.yaml."
}

check_cluster() {
    local answer
    answer=$(kubectl version --request-timeout=10s 2>&1) || fail 3 "No cluster answers: $(tail -n 1 <<<"$answer")
KUBECONFIG or \`kubectl config use-context\` chooses one."
}

check_filled_in() {
    local left
    left=$(grep -oE '[^ "]*(example\.com|example-bucket)[^ "]*' <<<"$1" | sort -u) || return 0
    fail 2 "$folder still has addresses that are yours to replace:
$left"
}

secret_keys() {
    kube get secret "$SECRET" --output go-template='{{range $key, $_ := .data}}{{$key}} {{end}}' 2>/dev/null || true
}

# The passwords of what we bring ourselves are made here; those of others' systems must be given.
ensure_secrets() {
    local missing=() key
    for key in plumbline_token coordinator_database_password; do
        [[ " $(secret_keys)" == *" $key "* ]] || missing+=("$key")
    done
    [ ${#missing[@]} -eq 0 ] && return
    if grep -q 'COORDINATOR_DATABASE_URL: postgres' <<<"$1" && ! grep -q '^kind: StatefulSet' <<<"$1"; then
        fail 2 "The secret $SECRET lacks ${missing[*]}. Write each into a file of that name, without a line break, and:
    kubectl --namespace plumbline create secret generic $SECRET ${missing[*]/#/--from-file=}"
    fi
    if [[ "${missing[*]}" == *database* ]] && kube get persistentvolumeclaim database-postgres-0 >/dev/null 2>&1; then
        fail 2 "There is a database (volume database-postgres-0), and the secret $SECRET no longer has its \
coordinator_database_password. Restore the secret, or see docs/deploying.md, \"A lost password\"."
    fi
    kube get secret "$SECRET" >/dev/null 2>&1 || kube create secret generic "$SECRET"
    for key in "${missing[@]}"; do # through a file descriptor: arguments are visible to others
        kube patch secret "$SECRET" --patch-file <(printf '{"stringData": {"%s": "%s"}}' "$key" "$(random)")
    done
}

check_certificate() {
    grep -q 'secretName: plumbline-tls' <<<"$1" && ! grep -q 'cert-manager.io/' <<<"$1" || return 0
    kube get secret plumbline-tls >/dev/null 2>&1 || fail 2 "The ingress has no certificate; give it \
one, or an annotation of cert-manager:
    kubectl --namespace plumbline create secret tls plumbline-tls --cert=FILE --key=FILE"
}

# Without models the translator and the generator are not ready, and only a person can say which ones: so this is no
# failure, but a next step.
lacks_models() {
    local port answer
    case ${1##*/} in translator) port=8001 ;; generator) port=8002 ;; *) return 1 ;; esac
    for _ in {1..60}; do
        if [ -n "$(kube get "$1" --output jsonpath='{.status.readyReplicas}')" ]; then return 1; fi
        if answer=$(kube exec "$1" -- python -c "$ASK_READYZ" "$port" 2>/dev/null); then
            grep -qE 'problem:no-(models|packages)"' <<<"$answer"
            return
        fi
        sleep 5 # it is still starting
    done
    return 1
}
ASK_READYZ='import http.client, sys
asked = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=10)
asked.request("GET", "/readyz")
print(asked.getresponse().read().decode())'

wait_for() {
    local progress='{.status.conditions[?(@.type=="Progressing")].status}'
    if [ "$(kube get "$1" --output jsonpath="$progress")" = False ]; then
        kube rollout restart "$1" # given up earlier: without this it would count as failed at once
    fi
    kube rollout status "$1" --timeout=45m && return
    local selector="app.kubernetes.io/name=${1##*/}"
    { echo; kube get pods --selector "$selector"
      kube get events --field-selector type=Warning --sort-by=.lastTimestamp | grep -F "${1##*/}" | tail -n 5
      kube logs --selector "$selector" --all-containers --tail 15; } >&2 || true
    fail 1 "$1 did not get ready; above are its last events and words. The others run on."
}

wait_for_all() {
    local workloads=() number=0 workload
    while read -r workload; do workloads+=("$workload"); done < <( # macOS has no mapfile
        kube get statefulsets,deployments --selector "$OURS" --output name
    )
    for workload in "${workloads[@]}"; do
        echo "[$((++number))/${#workloads[@]}] $workload"
        if lacks_models "$workload"; then
            echo "waits for models"
            lacking+=" ${workload##*/}"
        else
            wait_for "$workload"
        fi
    done
}

next_step() {
    local host
    host=$(kube get ingress --output jsonpath='{.items[0].spec.rules[0].host}' 2>/dev/null || true)
    printf '\nEverything runs%s. Next:\n\n' "${lacking:+, but without models these are not ready:$lacking}"
    [ -z "$lacking" ] || printf '    make load-models          # copies models, packages and data sets to the cluster\n'
    [ -n "$host" ] || printf '    kubectl --namespace plumbline port-forward service/coordinator 8000 &\n'
    printf "    export PLUMBLINE_TOKEN=\$(kubectl --namespace plumbline get secret %s" "$SECRET"
    printf " --output go-template='{{.data.plumbline_token|base64decode}}')\n"
    printf '    .venv/bin/plumbline run experiments/quickstart.yaml%s\n' "${host:+ --url https://$host}"
}

lacking=
command -v kubectl >/dev/null || fail 3 "There is no kubectl on the PATH: https://kubernetes.io/docs/tasks/tools/"
folder=$(overlay_folder "${1:-}")
rendered=$(kubectl kustomize "$folder") || fail 2 "$folder does not render."
check_filled_in "$rendered"
check_cluster
echo "Applying $folder to $(kubectl config current-context 2>/dev/null || echo 'the current cluster')"
kubectl get namespace plumbline >/dev/null 2>&1 || kubectl apply --filename k8s/base/namespace.yaml
ensure_secrets "$rendered"
check_certificate "$rendered"
kubectl apply --filename - <<<"$rendered" | { grep -v ' unchanged$' || true; }
wait_for_all
next_step
