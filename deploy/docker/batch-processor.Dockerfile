# A batch processor: packs in, shards out; any number of them. From dicebox/python-store.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "--file", "/tmp/alive", "--age", "300"]
CMD ["python", "-m", "sensory_service.batch_processor"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/batch-processor" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
