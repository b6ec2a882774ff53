#!/bin/bash
# dicebox-backup FOLDER: puts the state of now into FOLDER, which may hold any number of earlier ones.
#
# The address of the tables comes from DATABASE_URL_FILE. BLOBS is the folder of the blobs, empty where
# they lie in a bucket; SENTINEL the file that it must hold, none if empty.
#
#     FOLDER/blobs/                every blob that was ever backed up; they never change
#     FOLDER/TIME/tables.dump      what pg_restore reads
#     FOLDER/TIME/blobs.txt        the names of the blobs of that time
#     FOLDER/TIME/manifest.json    counts, for people and `python -m deploy.backup list`
#     FOLDER/TIME/SHA256SUMS
#
# The tables come first: blobs are stored before a table names them, so all that they name is there.
set -euo pipefail
export LC_ALL=C

fail() { echo "backup: $*" >&2; exit 1; }

# Sets `database` to the address without its password, which goes where other users do not see it.
read_address() {
  local file=${DATABASE_URL_FILE:?backup: DATABASE_URL_FILE is not set} url
  [ -s "$file" ] && [ -r "$file" ] || fail "DATABASE_URL_FILE: cannot read $file, or it is empty"
  IFS= read -r url < "$file" || true
  [[ $url =~ ^postgresql(\+psycopg)?://([^:@/]*)(:([^@/]*))?@(.+)$ ]] \
    || fail "DATABASE_URL_FILE: expected postgresql://user:password@host:5432/name"
  printf -v PGPASSWORD '%b' "${BASH_REMATCH[4]//%/\\x}"
  export PGPASSWORD PGCONNECT_TIMEOUT=10
  database=postgresql://${BASH_REMATCH[2]}@${BASH_REMATCH[5]}
}

# Names of blobs in a folder; what begins with a dot is none: temporary files and the sentinel.
names() { (cd "$1" && find . -type f -not -path '*/.*' -printf '%P\n' | sort); }

folder=${1:?expected: dicebox-backup FOLDER}
blobs=${BLOBS-}
read_address
[ -d "$folder" ] && [ -w "$folder" ] || fail "$folder is no folder that can be written to"
if [ -n "$blobs" ]; then
  [ -d "$blobs" ] || fail "$blobs: there is no such folder"
  [ -z "${SENTINEL-}" ] || [ -e "$blobs/$SENTINEL" ] \
    || fail "$blobs has no $SENTINEL: the shared folder is not mounted"
fi
exec 9> "$folder/.lock"
flock -n 9 || fail "another backup into $folder is under way"

rm -rf "$folder"/.unfinished-*
time=$(date -u +%Y%m%dT%H%M%SZ)
while [ -e "$folder/$time" ]; do sleep 0.2; time=$(date -u +%Y%m%dT%H%M%SZ); done
work=$folder/.unfinished-$time
mkdir "$work"

pg_dump --format=custom --file="$work/tables.dump" "$database" || fail "the tables cannot be read"
mkdir -p "$folder/blobs"
before=$(names "$folder/blobs" | wc -l)
if [ -n "$blobs" ]; then
  names "$blobs" > "$work/wanted"
  # What is there already is never written again: a blob that has gone bad since spoils no backup.
  # Erased in the meantime is no fault; rsync gives a file its name when it is whole.
  rsync -a --ignore-existing --ignore-missing-args --files-from="$work/wanted" "$blobs/" "$folder/blobs/" \
    || fail "not all blobs could be copied"
  names "$folder/blobs" | comm -12 - "$work/wanted" > "$work/blobs.txt"
  rm "$work/wanted"
else
  : > "$work/blobs.txt"
fi
count=$(wc -l < "$work/blobs.txt")
new=$(($(names "$folder/blobs" | wc -l) - before))
printf '{"time":"%s","tables_bytes":%d,"blobs":%d,"new_blobs":%d,"blobs_elsewhere":%s}\n' \
  "$time" "$(stat -c %s "$work/tables.dump")" "$count" "$new" \
  "$([ -n "$blobs" ] && echo false || echo true)" > "$work/manifest.json"
(cd "$work" && sha256sum tables.dump blobs.txt manifest.json > SHA256SUMS)
# Only what has this name is a backup.
sync -f "$folder"
mv -T "$work" "$folder/$time"
sync -f "$folder"
echo "backup $time: tables of $(stat -c %s "$folder/$time/tables.dump") bytes, $count blobs, $new of them new"
