# The classification service: answers with the champion. From dicebox/python-serve.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
EXPOSE 8003
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "8003", "/api/classification/v1"]
CMD ["python", "-m", "classification_service"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/classification" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
