#!/usr/bin/env bash
# Writes the versions pip chooses today, for all extras, to constraints.txt.
set -euo pipefail
cd "$(dirname "$0")/.."
environment=$(mktemp -d)
trap 'rm -rf "$environment"' EXIT
"${1:-python3}" -m venv "$environment"
"$environment/bin/pip" install --quiet '.[serve,train,demo,dev]'
versions=$("$environment/bin/pip" freeze --all --exclude dicebox --exclude pip)
{
  echo "# Versions that are tested together; written by \`make constraints\`."
  echo "$versions"
  # The same release where there is no build for the processor alone.
  sed -n 's/^tensorflow[-_]cpu==/tensorflow==/p' <<< "$versions"
} > constraints.txt
