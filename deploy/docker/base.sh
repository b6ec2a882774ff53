#!/bin/sh
# Makes the base image from Debian packages, where none can be pulled: as root, with debootstrap.
#
#     base.sh [--with-machine-settings] [--tar FILE] [NAME]
#
# NAME is debian:bookworm-slim unless another is given. FILE keeps what was made: where it is
# there already it is imported again, which takes a second. With --with-machine-settings the image
# has this machine's own apt and pip settings and its certificate authorities, so that builds reach
# what this machine reaches. Such an image, and all that are built on it, are for this machine.
# DOCKER names the client.
set -eu
release=bookworm
name=debian:$release-slim
settings=no
archive=

fail() { echo "base.sh: $*" >&2; exit 1; }

while [ $# -gt 0 ]; do
  case $1 in
    --with-machine-settings) settings=yes ;;
    --tar) shift; archive=${1:?base.sh: --tar needs a file} ;;
    -*) fail "unknown option $1" ;;
    *) name=$1 ;;
  esac
  shift
done

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root

# The addresses that this machine has its own Debian packages from.
sources() {
  apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' \
    'Created-By: Packages' 'Origin: Debian' | grep " $release\(-updates\|-security\)\? main\$" | sort -u
}

make() {
  [ "$(id -u)" -eq 0 ] || fail "debootstrap has to be root"
  command -v debootstrap > /dev/null || fail "debootstrap is not installed: apt-get install debootstrap"
  sources > "$work/sources.list"
  mirror=$(sed -n "s/^deb \([^ ]*\) $release main\$/\1/p" "$work/sources.list" | head -n 1)
  [ -n "$mirror" ] || fail "apt knows no Debian $release here: apt-get update, with it in its sources"
  debootstrap --variant=minbase --include=ca-certificates "$release" "$root" "$mirror" >&2

  cp "$work/sources.list" "$root/etc/apt/sources.list"
  # Nothing starts by itself while packages are installed, and none of their archives stay.
  printf '#!/bin/sh\nexit 101\n' > "$root/usr/sbin/policy-rc.d"
  chmod +x "$root/usr/sbin/policy-rc.d"
  cat > "$root/etc/apt/apt.conf.d/90image" << 'END'
APT::Keep-Downloaded-Packages "false";
Acquire::Languages "none";
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
END
  # Licences stay: whoever hands an image on hands them on too.
  printf 'path-exclude %s\n' '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/info/*' \
    '/usr/share/locale/*' '/usr/share/lintian/*' > "$root/etc/dpkg/dpkg.cfg.d/90image"
  echo 'path-include /usr/share/doc/*/copyright' >> "$root/etc/dpkg/dpkg.cfg.d/90image"
  if [ "$settings" = yes ]; then
    for file in /etc/apt/apt.conf.d/99* /etc/pip.conf /usr/local/share/ca-certificates/*.crt; do
      [ ! -f "$file" ] || cp "$file" "$root$file"
    done
    chroot "$root" update-ca-certificates >&2
  fi
  find "$root/usr/share/doc" -type f ! -name copyright -delete
  find "$root/usr/share/doc" -mindepth 1 -type d -empty -delete
  rm -rf "$root"/usr/share/man/* "$root"/usr/share/info/* "$root"/usr/share/locale/* \
    "$root"/usr/share/lintian/* "$root"/var/cache/apt/* "$root"/var/lib/apt/lists/* \
    "$root"/var/cache/debconf/*-old "$root"/var/log/* "$root"/dev/* "$root"/tmp/*
  tar -C "$root" --one-file-system --numeric-owner -cf "$1" .
}

if [ -n "$archive" ] && [ -s "$archive" ]; then
  tar=$archive
elif [ -n "$archive" ]; then
  # A name of its own until it is whole.
  make "$archive.part"
  mv "$archive.part" "$archive"
  tar=$archive
else
  tar=$work/base.tar
  make "$tar"
fi
${DOCKER:-docker} import -c 'ENV LANG=C.UTF-8' -c 'CMD ["bash"]' "$tar" "$name"
