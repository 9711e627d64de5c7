# docker build -t sentby .                     (without a Docker daemon: deploy/image/build-without-docker)
# docker run --rm sentby demo --once
# What it needs to serve others is in deploy/image/README.md; compose.yaml is a whole set-up.

FROM rust:1.95-bookworm AS build
WORKDIR /src
# Dependencies are compiled for an empty program: a layer that is made anew only when they change.
COPY Cargo.toml Cargo.lock ./
RUN mkdir -p src benches/goals \
 && echo 'fn main() {}' | tee build.rs src/main.rs benches/goals/main.rs \
 && touch src/lib.rs \
 && cargo build --locked --profile ship --bin sentby
COPY . .
# younger than what was compiled of the empty program
RUN touch build.rs src/lib.rs src/main.rs \
 && cargo build --locked --profile ship --bin sentby
# The whole of the image: the program and the C library, no shell and nothing else that would have to be kept
# up to date. What dpkg knows of the library goes along, for scanners.
RUN mkdir -p /image/root/etc/sentby /image/root/usr/local/bin /image/root/var/lib/dpkg/status.d /image/data \
 && install --directory --mode 1777 /image/root/tmp \
 && install target/ship/sentby /image/root/usr/local/bin/ \
 && install --mode 0644 deploy/image/sentby.toml /image/root/etc/sentby/ \
 && ldd target/ship/sentby | grep --only-matching '/[^ ]*' | xargs cp --dereference --parents --target-directory /image/root \
 && cp --parents /usr/share/doc/libc6/copyright /image/root \
 && for package in libc6 libgcc-s1; do dpkg-query --status $package > /image/root/var/lib/dpkg/status.d/$package || exit; done \
 && echo 'sentby:x:10001:10001::/data:/usr/sbin/nologin' > /image/root/etc/passwd \
 && echo 'sentby:x:10001:' > /image/root/etc/group \
 && echo 'hosts: files dns' > /image/root/etc/nsswitch.conf

FROM scratch
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="sentby" \
      org.opencontainers.image.description="Which agent sent this message from the shared mailbox?" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /image/root /
COPY --from=build --chown=10001:10001 /image/data /data
# by number, so that "runAsNonRoot" can see that it is not root
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 50051
# A file, not variables: those would go before the file that somebody mounts in its place.
ENV SENTBY_CONFIG=/etc/sentby/sentby.toml
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["/usr/local/bin/sentby", "health"]
ENTRYPOINT ["/usr/local/bin/sentby"]
CMD ["serve"]
