# Python, Dicebox and what it needs for one kind of role; the images of roles start from it.
#
# EXTRAS adds to RabbitMQ, PostgreSQL and S3, which every role may meet: "serve", "fleet",
# "fleet,train" or "fleet,train-gpu". Only the last two have TensorFlow. Dicebox itself is a layer of a few
# megabytes: that is all an update moves while the dependencies stay.
ARG BASE_IMAGE=debian:bookworm-slim

FROM ${BASE_IMAGE} AS dependencies
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv \
 && apt-get clean && rm -rf /var/lib/apt/lists/* \
 # pip installs into the environment that is shipped, and stays out of it.
 && python3 -m venv /build/pip \
 && python3 -m venv --without-pip /opt/dicebox
WORKDIR /build/dicebox
ENV PIP="/build/pip/bin/pip --python /opt/dicebox/bin/python --no-cache-dir \
    --disable-pip-version-check"
ENV INSTALL="${PIP} install --no-compile --constraint constraints.txt"
# Without packages this installs what they depend on.
COPY constraints.txt pyproject.toml ./
RUN touch README.md LICENSE && ${INSTALL} '.[postgres,rabbit,s3]'
ARG EXTRAS=
RUN test -z "${EXTRAS}" || ${INSTALL} ".[${EXTRAS}]"
COPY deploy/docker/trim.sh ./
# The root is read-only later: what is not compiled now is compiled at every start.
RUN ${PIP} uninstall --yes dicebox \
 && sh trim.sh /opt/dicebox \
 && echo /opt/dicebox/code > "$(echo /opt/dicebox/lib/python3*/site-packages)/code.pth" \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/dicebox/lib

FROM dependencies AS code
COPY README.md LICENSE ./
COPY classification_service classification_service
COPY commons commons
COPY dicebox dicebox
COPY evolver evolver
COPY load_generator load_generator
COPY sensory_service sensory_service
COPY trainer trainer
COPY web_client web_client
RUN ${INSTALL} --no-deps --target /opt/dicebox/code . \
 && python3 -m compileall -q -j 0 --invalidation-mode unchecked-hash /opt/dicebox/code

FROM ${BASE_IMAGE}
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates python3 tini tzdata \
 && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/* /var/cache/debconf/*-old \
 && groupadd --gid 10001 dicebox \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/dicebox \
    --shell /usr/sbin/nologin dicebox \
 # A new volume takes its owner from the folder that it lies over.
 && install -d -m 0750 -o 10001 -g 10001 /var/lib/dicebox /var/lib/dicebox/tmp /dicebox
COPY --from=dependencies /opt/dicebox /opt/dicebox
COPY deploy/docker/health.py /usr/local/lib/dicebox/health.py
COPY --from=code /opt/dicebox/code /opt/dicebox/code
# The blobs are what must outlive a container, on a volume whose mark says that it is mounted; the
# rest is a container's own. Two containers cannot share SQLite, so without a database a service
# says what to do (REPLICAS=1 for one container on SQLite). By their bare names, so that both a bare
# and a long name that somebody gives count instead. Whole archives pass the folder for temporary
# files: a disk, not memory.
ENV PATH=/opt/dicebox/bin:/opt/dicebox/code/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/dicebox \
    TMPDIR=/var/lib/dicebox/tmp \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    MALLOC_ARENA_MAX=2 \
    DICEBOX_DATA=/var/lib/dicebox \
    BLOBS_URL=file:///dicebox/blobs?sentinel=.dicebox-volume \
    REPLICAS=2 \
    HOST=0.0.0.0 \
    DICEBOX_BARE_NAMES=yes \
    DICEBOX_ALIVE_FILE=/tmp/alive
USER 10001:10001
WORKDIR /var/lib/dicebox
VOLUME /var/lib/dicebox
ENTRYPOINT ["/usr/bin/tini", "--"]
