# One image for the three roles: `serve` (all in one, with the embedded store), `gateway` and `sleeptime`.
#
#   docker build -t voice-gateway .
#   docker run --init --stop-timeout 20 -p 8080:8080 -v voice:/data -e VOICE_API_KEY=SECRET voice-gateway

FROM python:3.13-slim AS build
WORKDIR /src

# What the product stands on is a layer of its own, made anew only when one of these two files changes.
COPY pyproject.toml constraints.txt ./
RUN python -m venv --without-pip /opt/voice-gateway \
 && python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > needed.txt \
 && python -m pip --python /opt/voice-gateway install --constraint constraints.txt --requirement needed.txt

COPY README.md ./
COPY gateway gateway
COPY voice_agent voice_agent
COPY sleeptime sleeptime
RUN python -m pip wheel --no-deps --wheel-dir dist . \
 && python -m pip --python /opt/voice-gateway install --no-deps dist/*.whl


FROM python:3.13-slim
LABEL org.opencontainers.image.title="voice-agent-gateway" \
      org.opencontainers.image.description="A real-time voice agent gateway: all in one, gateway or memory worker"

# The ids are fixed, so that a volume's owner is the same on every machine and in every build.
RUN groupadd --gid 10001 voice \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /data --shell /usr/sbin/nologin voice \
 && install --directory --owner 10001 --group 10001 --mode 700 /data
COPY --from=build /opt/voice-gateway /opt/voice-gateway

# A container is reached from outside or not at all; the gateway then demands a key.
ENV PATH="/opt/voice-gateway/bin:$PATH" \
    VOICE_DATA="/data" \
    VOICE_HOST="0.0.0.0"
USER 10001:10001
WORKDIR /data
VOLUME ["/data"]
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["voice-gateway", "health"]
ENTRYPOINT ["voice-gateway"]
CMD ["serve"]
