# The trainer with TensorFlow for NVIDIA's cards; else it is trainer.Dockerfile. From
# dicebox/python-train-gpu. Nobody has built it yet.
ARG PYTHON_IMAGE
FROM ${PYTHON_IMAGE}
# The runtime gives cards and the driver's libraries to whoever asks for them by these.
ENV DATA=/var/lib/dicebox \
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
EXPOSE 9100
HEALTHCHECK --interval=3s --timeout=10s --start-period=60s --retries=5 \
  CMD ["/usr/bin/python3", "-I", "-S", "/usr/local/lib/dicebox/health.py", "--file", "/tmp/alive", "--age", "60"]
CMD ["python", "-m", "trainer.worker"]
ARG VERSION=unknown
ARG REVISION=unknown
ARG CREATED=unknown
LABEL org.opencontainers.image.title="dicebox/trainer-gpu" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}" \
      org.opencontainers.image.licenses="MIT"
