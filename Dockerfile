# The whole server in one image: redis, the tracker and the matchmaker under supervisord.
# The classic builder of older engines and BuildKit both build it, hence no cache mounts.
# Where no image registry can be reached, deploy/base-images makes the two base images.

# The manifests of all packages, and an empty program in the place of each source file that
# a manifest may name. This stage runs at every change and takes a second; what it hands on
# changes only with the dependencies, so that the next stage's cache holds until then.
FROM rust:1.95-slim-bookworm AS manifests
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY crates crates
COPY tests tests
RUN mkdir /manifests \
    && find . -name Cargo.toml -exec cp --parents -t /manifests {} + \
    && cp Cargo.lock /manifests \
    && find . -regextype posix-extended \
        -regex '.*/(src/(lib|main|bin/.*)|build|(tests|benches|examples)/([^/]+|[^/]+/main))\.rs' \
        -exec cp --parents -t /manifests {} + \
    && find /manifests -name '*.rs' | while read -r file; do echo 'fn main() {}' >"$file"; done

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# Nobody reads a symbol in a container; the size is paid at every pull.
ENV CARGO_PROFILE_RELEASE_STRIP=symbols
COPY --from=manifests /manifests .
RUN cargo build --release --locked -p tracker -p matchmaker
COPY crates crates
# A copied file keeps its time of last change, which is before the build of the empty
# programs: without the touch cargo would take those for the newest.
RUN find crates -name '*.rs' -exec touch {} + \
    && cargo build --release --locked -p tracker -p matchmaker \
    && target/release/tracker --version && target/release/matchmaker --version

FROM debian:bookworm-slim
# The numbers are fixed because the files in the volume carry them from one image to the
# next. A user for each program: none can signal another or read its memory.
RUN useradd --system --uid 999 --user-group --home-dir /data --no-create-home --shell /usr/sbin/nologin redis \
    && useradd --system --uid 998 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin tracker \
    && useradd --system --uid 997 --user-group --home-dir /nonexistent --shell /usr/sbin/nologin matchmaker \
    && apt-get update \
    && apt-get install -y --no-install-recommends redis-server supervisor \
    && rm -rf /var/lib/apt/lists/* /var/log/apt /var/log/dpkg.log /var/lib/redis /etc/supervisor/conf.d \
    && find /usr/lib/python3* -name __pycache__ -prune -exec rm -r {} + \
    && install -d -o redis -g redis -m 0750 /data
ENV REDIS_URL=redis://127.0.0.1:6379
VOLUME /data
EXPOSE 8000/tcp 12345/udp
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 CMD ["container-health"]
ENTRYPOINT ["container-start"]
CMD ["supervisord", "--configuration", "/etc/supervisor/supervisord.conf"]

COPY redis.conf /etc/redis/redis.conf
COPY supervisord.conf /etc/supervisor/supervisord.conf
COPY deploy/container-start deploy/container-health /usr/local/bin/
COPY --from=build /src/target/release/tracker /src/target/release/matchmaker /usr/local/bin/

# Last, so that a new commit does not build all of the above again.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="peer-browser server" \
      org.opencontainers.image.description="Tracker (HTTP) and matchmaker (UDP) for peer-to-peer programs, with their Redis" \
      org.opencontainers.image.source="https://github.com/peer-browser/server" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
