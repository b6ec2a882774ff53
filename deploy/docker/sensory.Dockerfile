# The sensory service: images in, batches of examples out. From dicebox/python-store.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
EXPOSE 8001
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "8001", "/api/sensory/v1"]
CMD ["python", "-m", "sensory_service"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/sensory" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
