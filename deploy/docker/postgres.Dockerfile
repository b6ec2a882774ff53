# The database: Debian's PostgreSQL, and what backups are made with.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}
RUN groupadd --gid 10002 postgres \
 && useradd --uid 10002 --gid 10002 --no-create-home --home-dir /var/lib/postgresql \
    --shell /usr/sbin/nologin postgres \
 && apt-get update \
 && apt-get install -y --no-install-recommends postgresql-common \
 && sed -i 's/^#\?create_main_cluster.*/create_main_cluster = false/' \
    /etc/postgresql-common/createcluster.conf \
 && apt-get install -y --no-install-recommends postgresql-15 rsync tini \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/log/postgresql /var/lib/postgresql \
 && install -d -o 10002 -g 10002 /var/lib/postgresql \
 && install -d -m 0700 -o 10002 -g 10002 /var/lib/postgresql/data \
 # A tmpfs takes its mode from the folder that it lies over.
 && install -d -m 1777 -o 10002 -g 10002 /run/postgresql
COPY deploy/docker/postgres /usr/local/lib/dicebox/postgres
RUN cd /usr/local/bin \
 && ln -s ../lib/dicebox/postgres/entrypoint.sh dicebox-postgres \
 && ln -s ../lib/dicebox/postgres/backup.sh dicebox-backup \
 && ln -s ../lib/dicebox/postgres/restore.sh dicebox-restore
ENV PATH=/usr/lib/postgresql/15/bin:/usr/local/bin:/usr/bin:/bin \
    PGDATA=/var/lib/postgresql/data/15
USER 10002:10002
WORKDIR /var/lib/postgresql
EXPOSE 5432
# SIGINT: sessions end, then it does, in order.
STOPSIGNAL SIGINT
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["pg_isready", "-q", "-h", "127.0.0.1"]
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/dicebox-postgres"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/postgres" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="PostgreSQL"
