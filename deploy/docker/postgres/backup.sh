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
me=backup
. "$(dirname "$(readlink -f "$0")")/common.sh"

folder=${1:?expected: dicebox-backup FOLDER}
read_address
[ -d "$folder" ] && [ -w "$folder" ] || fail "$folder is no folder that can be written to"
find_blobs "the shared folder is not mounted"
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
