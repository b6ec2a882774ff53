# The evolver's API; its runner is the same image with the command `python -m evolver`.
# From dicebox/python-evolve.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
EXPOSE 8004
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "8004", "/api/evolution/v1"]
CMD ["python", "-m", "evolver.web"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/evolver" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
