# The front: nginx, its configuration and the web client.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}
RUN groupadd --gid 10001 dicebox \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/dicebox-nginx \
    --shell /usr/sbin/nologin dicebox \
 && apt-get update \
 && apt-get install -y --no-install-recommends nginx python3-minimal tini \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /etc/nginx /var/www \
 # Opened before the configuration is read; the rest of what is said goes to the same place.
 && ln -sf /dev/stderr /var/log/nginx/error.log \
 && install -d -m 0755 -o 10001 -g 10001 /var/lib/dicebox-nginx \
 && install -d /etc/dicebox/tls
COPY deploy/docker/health.py /usr/local/lib/dicebox/health.py
COPY deploy/docker/nginx /usr/local/bin
COPY nginx /etc/dicebox/nginx
COPY web_client /srv/web_client
USER 10001:10001
WORKDIR /var/lib/dicebox-nginx
# What it renders, and bodies on their way: a disk, not memory.
VOLUME /var/lib/dicebox-nginx
EXPOSE 8080 8443
# SIGQUIT: what is on its way is answered first.
STOPSIGNAL SIGQUIT
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "8080", "/healthz", "--plain"]
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/entrypoint"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/nginx" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT AND BSD-2-Clause"
