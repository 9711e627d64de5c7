# docker build -t sentby .
# docker run -p 127.0.0.1:50051:50051 -v sentby:/data sentby

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --profile ship --bin sentby

# The binary needs the C library only: SQLite and the TLS roots are in it.
FROM debian:bookworm-slim
RUN groupadd --gid 10001 sentby \
 && useradd --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin sentby \
 && install --directory --mode 0700 --owner sentby --group sentby /data
COPY --from=build /src/target/ship/sentby /usr/local/bin/sentby
# by number, so that "runAsNonRoot" can see that it is not root
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
ENTRYPOINT ["sentby"]
# Inside, every address is the container's own. Without a callers file and certificates (README,
# docs/access.md) who runs it decides by the published port who can reach it.
CMD ["serve", "--insecure", "--listen", "0.0.0.0:50051", "--database", "sqlite:///data/sentby.db"]
