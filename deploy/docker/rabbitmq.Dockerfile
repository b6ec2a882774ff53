# The broker: Debian's RabbitMQ with Dicebox's settings. It has no user until a secret names one.
ARG BASE_IMAGE=debian:bookworm-slim
FROM ${BASE_IMAGE}
RUN groupadd --gid 10003 rabbitmq \
 && useradd --uid 10003 --gid 10003 --no-create-home --home-dir /var/lib/rabbitmq \
    --shell /usr/sbin/nologin rabbitmq \
 && apt-get update \
 && apt-get install -y --no-install-recommends python3-minimal rabbitmq-server tini \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/cache/debconf/*-old /var/lib/rabbitmq /var/log/rabbitmq \
 && install -d -m 0750 -o 10003 -g 10003 /var/lib/rabbitmq \
 && install -d /etc/rabbitmq/conf.d \
 && echo '[rabbitmq_prometheus].' > /etc/rabbitmq/enabled_plugins
COPY deploy/docker/health.py /usr/local/lib/dicebox/health.py
COPY deploy/docker/rabbitmq/entrypoint.sh /usr/local/bin/dicebox-rabbitmq
COPY deploy/rabbitmq/rabbitmq.conf /etc/rabbitmq/conf.d/20-dicebox.conf
COPY deploy/rabbitmq/stack.conf /etc/rabbitmq/conf.d/25-stack.conf
# One node, which nobody joins: its name and its inner ports are its own. Busy waiting would take
# cores from trainings.
ENV PATH=/usr/lib/rabbitmq/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/rabbitmq \
    LANG=C.UTF-8 \
    ERL_EPMD_ADDRESS=127.0.0.1 \
    RABBITMQ_NODENAME=rabbit@localhost \
    RABBITMQ_MNESIA_BASE=/var/lib/rabbitmq/mnesia \
    RABBITMQ_LOG_BASE=/var/lib/rabbitmq/log \
    RABBITMQ_GENERATED_CONFIG_DIR=/var/lib/rabbitmq/config \
    RABBITMQ_LOGS=- \
    RABBITMQ_ENABLED_PLUGINS_FILE=/etc/rabbitmq/enabled_plugins \
    RABBITMQ_USERS_FILE=/etc/rabbitmq/conf.d/30-users.conf \
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none -kernel inet_dist_use_interface {127,0,0,1}"
USER 10003:10003
WORKDIR /var/lib/rabbitmq
EXPOSE 5672 15692
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "--tcp", "5672"]
ENTRYPOINT ["/usr/bin/tini", "--", "/usr/local/bin/dicebox-rabbitmq"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/rabbitmq" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MPL-2.0"
