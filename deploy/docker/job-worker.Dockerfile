# A worker on classification jobs; any number of them. From dicebox/python-serve.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "--file", "/tmp/alive", "--age", "300"]
CMD ["python", "-m", "classification_service.job_worker"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/job-worker" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
