# A trainer that takes jobs of evolvers; `python -m trainer` in it trains one network and ends
# (with --no-healthcheck: it has no heartbeat). From dicebox/python-train.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
ENV DATA=/var/lib/dicebox
EXPOSE 9100
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "--file", "/tmp/alive", "--age", "60"]
CMD ["python", "-m", "trainer.worker"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/trainer" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
