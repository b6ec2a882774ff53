#!/bin/bash
# dicebox-restore FOLDER [TIME]: puts a backup back, the newest if no TIME is said.
#
# DATABASE_URL_FILE, BLOBS and SENTINEL are those of dicebox-backup. Nobody else may use the database
# meanwhile. Tables that are there go; they are kept as FOLDER/replaced/TIME.dump, for pg_restore.
# Blobs that the backup does not name stay; `dicebox fsck` lists them.
#
# The blobs come first, and all tables in one transaction: cut off anywhere, the old state is still
# there, with some blobs more.
set -euo pipefail
me=restore
. "$(dirname "$(readlink -f "$0")")/common.sh"

ask() { psql --no-psqlrc --quiet --tuples-only --no-align --dbname="$database" --command="$1"; }

folder=${1:?expected: dicebox-restore FOLDER [TIME]}
[ -d "$folder" ] || fail "$folder: there is no such folder"
time=${2:-}
if [ -z "$time" ]; then
  time=$(cd "$folder" && find . -maxdepth 1 -type d -name '[0-9]*Z' -printf '%f\n' | sort | tail -n 1)
  [ -n "$time" ] || fail "$folder holds no backup"
fi
case $time in */* | .*) fail "$time is no time of a backup" ;; esac
backup=$folder/$time
[ -d "$backup" ] || fail "$folder has no backup $time"
(cd "$backup" && sha256sum --check --quiet SHA256SUMS > /dev/null 2>&1) \
  || fail "backup $time is damaged: its SHA256SUMS do not hold"
mkdir -p "$folder/blobs"
missing=$(names "$folder/blobs" | comm -13 - "$backup/blobs.txt" | wc -l)
[ "$missing" -eq 0 ] || fail "backup $time is damaged: $missing of its blobs are not in $folder/blobs"

find_blobs "mount the shared folder, and prepare it if it is new"
if [ -z "$blobs" ] && [ -s "$backup/blobs.txt" ]; then
  fail "backup $time holds blobs, and BLOBS does not say where they go"
fi

read_address
others=$(ask "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()
  AND pid <> pg_backend_pid() AND backend_type = 'client backend'") || fail "the database does not answer"
[ "$others" -eq 0 ] || fail "$others sessions use the database: end the services first"
tables=$(ask "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
if [ "$tables" -ne 0 ]; then
  mkdir -p "$folder/replaced"
  kept=$folder/replaced/$(date -u +%Y%m%dT%H%M%SZ).dump
  pg_dump --format=custom --file="$kept.new" "$database" && mv "$kept.new" "$kept" \
    || fail "the tables that are there cannot be kept: restore into an empty database"
fi

if [ -n "$blobs" ]; then
  owner=()
  # The services' own user in the images; whoever is not root can give nothing away.
  [ "$(id -u)" -ne 0 ] || owner=("--chown=${OWNER:-10001:10001}")
  rsync -a "${owner[@]}" --files-from="$backup/blobs.txt" "$folder/blobs/" "$blobs/" \
    || fail "not all blobs could be copied"
  sync -f "$blobs"
fi

# What the backup does not know of goes too. psql takes everything back if it is not told COMMIT.
{
  cat << 'SQL'
SET client_min_messages = warning;
BEGIN;
DO $$
DECLARE each record;
BEGIN
  FOR each IN SELECT schemaname, tablename FROM pg_tables
    WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
  LOOP
    EXECUTE format('DROP TABLE IF EXISTS %I.%I CASCADE', each.schemaname, each.tablename);
  END LOOP;
  FOR each IN SELECT nspname, typname FROM pg_type JOIN pg_namespace ON pg_namespace.oid = typnamespace
    WHERE typtype = 'e' AND nspname NOT IN ('pg_catalog', 'information_schema')
  LOOP
    EXECUTE format('DROP TYPE %I.%I CASCADE', each.nspname, each.typname);
  END LOOP;
END $$;
SQL
  pg_restore --no-owner --no-privileges --file=- "$backup/tables.dump" && echo 'COMMIT;'
} | psql --no-psqlrc --quiet --set=ON_ERROR_STOP=1 --dbname="$database" --output=/dev/null \
  || fail "the tables were left as they were"
echo "restored $time: $(ask "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") tables, $(wc -l < "$backup/blobs.txt") blobs"
