# claf-tui in a container; docs/install.md says how to run it.
#
#   docker build -t claf-tui .                             for CPUs alone
#   docker build -t claf-tui --build-arg TORCH=cu130 .     for NVIDIA GPUs, 4 GB more
FROM python:3.14-slim AS build
ARG TORCH=cpu
RUN python -m pip install --no-cache-dir uv
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY claf_engine claf_engine
COPY claf_tui claf_tui
RUN uv venv /opt/claf \
 && uv pip install --no-cache --python /opt/claf/bin/python --torch-backend "$TORCH" --constraint constraints.txt '.[audit,gpu]'

FROM python:3.14-slim
COPY --from=build /opt/claf /opt/claf
# Runs, data and caches may be mounted, and be of any user: docker run --user needs no account of that number.
RUN useradd --create-home claf \
 && mkdir /runs /data \
 && chmod 1777 /runs /data
ENV PATH=/opt/claf/bin:$PATH \
    LANG=C.UTF-8 \
    USER=claf \
    HOME=/data \
    CLAF_RUNS_DIR=/runs \
    CLAF_DATA_DIR=/data \
    CLAF_CACHE_DIR=/data/cache
USER claf
WORKDIR /data
ENTRYPOINT ["claf-tui"]
CMD ["--help"]
