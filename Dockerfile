# syntax=docker/dockerfile:1
# CPU:  docker build -t repro .
# CUDA: docker build -t repro --build-arg BASE=nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 . ; docker run --gpus all ...
# The LibTorch that `make setup` fetches holds both.
ARG BASE=debian:13-slim
# hadolint ignore=DL3006
FROM ${BASE}
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV DEBIAN_FRONTEND=noninteractive RUSTUP_HOME=/usr/local/rustup CARGO_HOME=/usr/local/cargo
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates g++ git make python3 python3-pip rustup \
 && rm -rf /var/lib/apt/lists/*
RUN rustup toolchain install stable --profile minimal --component clippy,rustfmt && rustup default stable
WORKDIR /repro
COPY . .
# LibTorch, the build, and the first picture: results/anytime-quick/.
RUN PIP_BREAK_SYSTEM_PACKAGES=1 make quick
ENTRYPOINT ["/repro/target/release/repro"]
CMD ["--help"]
