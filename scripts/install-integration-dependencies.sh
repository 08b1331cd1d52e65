#!/usr/bin/env bash
# Installs the servers that `npm run test:integration` tests against, where they are missing: PostgreSQL and Redis
# from Debian's packages (as root; elsewhere install them yourself), and the llama.cpp server with a small language
# model and moto, which plays AWS, from PyPI, and Jaeger from its Go module. The latter go to a Python environment outside the clone, so that the next clone finds it:
# $BULKHEAD_INTEGRATION_CACHE, or bulkhead-integration in the user's cache directory. Safe to run again at any time.
set -euo pipefail

cache=${BULKHEAD_INTEGRATION_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/bulkhead-integration}
here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
requirements=$here/integration-requirements.txt

say() { printf '%s\n' "install-integration-dependencies: $*"; }
fail() { say "$*" >&2; exit 1; }

# Networks fail for moments: three tries, with longer pauses.
retry() {
  local attempt
  for attempt in 1 2 3; do
    "$@" && return 0
    say "try $attempt of 3 failed: $*" >&2
    sleep $((attempt * 5))
  done
  return 1
}

has() { command -v "$1" >/dev/null 2>&1; }
has_postgres() { has initdb || compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null; }
has_redis() { has redis-server || has valkey-server; }
has_venv() { python3 -c 'import ensurepip, venv' >/dev/null 2>&1; }

install_system_packages() {
  local packages=()
  has_postgres || packages+=(postgresql)
  has_redis || packages+=(redis-server)
  has_venv || packages+=(python3 python3-venv)
  ((${#packages[@]} == 0)) && return 0
  has apt-get || fail "missing, and there is no apt-get: ${packages[*]}"
  (($(id -u) == 0)) || fail "missing; install them as root: apt-get install ${packages[*]}"
  say "installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  # Tests start servers of their own: no cluster and no service may start by being installed.
  mkdir -p /etc/postgresql-common/createcluster.d
  echo 'create_main_cluster = false' >/etc/postgresql-common/createcluster.d/bulkhead.conf
  export RUNLEVEL=1
  retry apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 update
  retry apt-get -qq -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
    "${packages[@]}"
}

# The model's package names a chat program among its needs: only what is pinned is installed.
install_python_packages() {
  local venv=$cache/venv stamp=$cache/venv/installed-requirements.txt
  cmp --silent "$requirements" "$stamp" && "$venv/bin/python" -c '' && return 0
  say 'installing the llama.cpp server and its model, and moto'
  rm -rf "$venv"
  python3 -m venv "$venv"
  retry "$venv/bin/pip" --disable-pip-version-check --quiet install --only-binary :all: --no-deps \
    --require-hashes --requirement "$requirements"
  "$venv/bin/python" -c 'import xllamacpp, moto.server'
  cp "$requirements" "$stamp"
}

# Built from its Go module, since no package of the system has it. Go's own cache makes the second time short.
install_jaeger() {
  local stamp=$cache/jaeger-go.sum
  [[ -x $cache/jaeger ]] && cmp --silent "$here/jaeger/go.sum" "$stamp" && return 0
  has go || fail 'missing: Go 1.26 or newer, to build Jaeger'
  say 'building Jaeger; this takes minutes the first time'
  (cd "$here/jaeger" && CGO_ENABLED=0 nice -n 10 go build -mod=readonly -trimpath -ldflags '-s -w' \
    -o "$cache/jaeger" github.com/jaegertracing/jaeger/cmd/jaeger)
  cp "$here/jaeger/go.sum" "$stamp"
}

mkdir -p "$cache"
# Two runs at once would write to the same directory.
if has flock; then
  exec 9>"$cache/install.lock"
  flock 9
fi
install_system_packages
install_python_packages
install_jaeger
say "everything is there (cache: $cache)"
