#!/bin/sh
# Starts PostgreSQL on $PGDATA, which the first start makes. Further arguments go to the server.
#
# POSTGRES_USER, POSTGRES_DB (dicebox), POSTGRES_PASSWORD_FILE and PGDATA are named as in the
# official image. The password counts at the first start; later it is changed in the database.
set -eu
umask 077
user=${POSTGRES_USER:-dicebox}
database=${POSTGRES_DB:-$user}
data=${PGDATA:?postgres: PGDATA is not set}
folder=$(dirname "$data")

fail() { echo "postgres: $*" >&2; exit 1; }

for name in "$user" "$database"; do
  case $name in
    '' | *[!a-z0-9_]*) fail "POSTGRES_USER and POSTGRES_DB: expected lower-case letters, digits and _" ;;
  esac
done
[ -d "$folder" ] || fail "$folder: there is no such folder; it is to be a volume on this machine's disk"
[ -w "$folder" ] || fail "$folder: $(id -u) may not write there"
# File locks and the order of writes are not what a database needs there.
case $(stat -f -c %T "$folder") in
  nfs* | smb* | cifs | ceph | fuse*) fail "$folder is on a network file system: a database needs a local disk" ;;
esac

if [ ! -e "$data/PG_VERSION" ]; then
  [ ! -e "$data" ] || rmdir "$data" 2> /dev/null || fail "$data holds files, but no database"
  secret=${POSTGRES_PASSWORD_FILE:-}
  [ -n "$secret" ] || fail "POSTGRES_PASSWORD_FILE is not set"
  [ -r "$secret" ] && [ -f "$secret" ] || fail "POSTGRES_PASSWORD_FILE: cannot read $secret"
  password=
  IFS= read -r password < "$secret" || true
  [ -n "$password" ] || fail "POSTGRES_PASSWORD_FILE: $secret is empty"

  # Under another name until it is whole: a first start that was cut off begins anew.
  rm -rf "$data.new"
  initdb --pgdata="$data.new" --username="$user" --pwfile="$secret" --data-checksums \
    --encoding=UTF8 --locale=C.UTF-8 --auth-local=trust --auth-host=scram-sha-256 > "$folder/initdb.log" 2>&1 \
    || fail "initdb: $(tail -n 1 "$folder/initdb.log")"
  echo 'host all all all scram-sha-256' >> "$data.new/pg_hba.conf"
  if [ "$database" != postgres ]; then
    echo "CREATE DATABASE \"$database\"" | postgres --single -j -D "$data.new" postgres > "$folder/initdb.log" 2>&1 \
      || fail "CREATE DATABASE: $(tail -n 1 "$folder/initdb.log")"
  fi
  mv "$data.new" "$data"
  rm -f "$folder/initdb.log"
  sync -f "$folder"
fi

made=$(cat "$data/PG_VERSION")
here=$(postgres --version | sed 's/.* \([0-9]*\)\..*/\1/')
[ "$made" = "$here" ] || fail "$data is of PostgreSQL $made, this is $here: restore a backup into an empty volume"

exec postgres -D "$data" -c listen_addresses='*' -c max_connections=200 \
  -c unix_socket_directories=/run/postgresql "$@"
