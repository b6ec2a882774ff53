#!/bin/sh
# Starts RabbitMQ, once there is a user other than the one that every broker has by itself.
#
# RABBITMQ_USERS_FILE holds lines of rabbitmq.conf: default_user, default_pass and default_vhost.
# They count at the first start; later passwords are changed by rabbitmqctl.
set -eu
umask 077
users=${RABBITMQ_USERS_FILE:-/etc/rabbitmq/conf.d/30-users.conf}
folder=${RABBITMQ_MNESIA_BASE:?rabbitmq: RABBITMQ_MNESIA_BASE is not set}

fail() { echo "rabbitmq: $*" >&2; exit 1; }

[ -e "$users" ] || fail "$users is not there: it is the secret with default_user and default_pass"
[ -r "$users" ] && [ -f "$users" ] || fail "cannot read $users"
[ -s "$users" ] || fail "$users is empty"
for name in default_user default_pass; do
  grep -Eq "^ *$name *= *[^ ]" "$users" || fail "$users: $name is not set"
done

mkdir -p "$folder" 2> /dev/null || true
[ -d "$folder" ] && [ -w "$folder" ] || fail "$folder: $(id -u) may not write there"
case $(stat -f -c %T "$folder") in
  nfs* | smb* | cifs | ceph | fuse*) fail "$folder is on a network file system: queues need a local disk" ;;
esac

exec rabbitmq-server "$@"
