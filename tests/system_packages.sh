#!/usr/bin/env bash
# Installs the programs that tests start themselves, or says which of them are missing.
# As root with CI=true or SETUP=apt it installs through apt; otherwise what needs them is skipped.
# With the word `swarm` also those of `make swarm-test`.
set -euo pipefail

programs=(nginx:nginx chromium:chromium node:nodejs rabbitmq-server:rabbitmq-server initdb:postgresql
  firefox-esr:firefox-esr openssl:openssl rsync:rsync prometheus:prometheus)
[ "${1:-}" != swarm ] || programs+=(dockerd:docker.io debootstrap:debootstrap iptables:iptables
  ip:iproute2 nsenter:util-linux)
places=/usr/sbin:$(echo /usr/lib/postgresql/*/bin | tr ' ' :)

missing=()
for entry in "${programs[@]}"; do
  [ -x "$(PATH="$PATH:$places" command -v "${entry%%:*}" || true)" ] || missing+=("${entry##*:}")
done
[ ${#missing[@]} -eq 0 ] && exit 0

if [ "$(id -u)" -ne 0 ] || { [ "${CI:-}" != true ] && [ "${SETUP:-}" != apt ]; }; then
  echo "Missing: ${missing[*]}; tests that need them are skipped (as root, SETUP=apt installs them)."
  exit 0
fi

# The tests start these programs on ports of their own; none may start by itself. apt asks
# this file before it starts a service.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  trap 'rm -f "$policy"' EXIT
fi
echo "Installing ${missing[*]}"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
