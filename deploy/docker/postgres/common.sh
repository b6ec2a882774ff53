# What backup.sh and restore.sh share; they set `me`, the name that their errors begin with.
# shellcheck shell=bash
export LC_ALL=C

fail() { echo "$me: $*" >&2; exit 1; }

# Sets `database` to the address without its password, which goes where other users do not see it.
read_address() {
  local file=${DATABASE_URL_FILE:?$me: DATABASE_URL_FILE is not set} url
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

# Sets `blobs` to the folder of the blobs, empty where they lie in a bucket; $1 says what to do when
# the shared folder is not the one it should be.
find_blobs() {
  blobs=${BLOBS-}
  [ -n "$blobs" ] || return 0
  [ -d "$blobs" ] || fail "$blobs: there is no such folder"
  [ -z "${SENTINEL-}" ] || [ -e "$blobs/$SENTINEL" ] || fail "$blobs has no $SENTINEL: $1"
}
