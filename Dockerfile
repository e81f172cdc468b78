# Built in two steps: the second has no compiler, no package manager's cache and no source checkout.
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY requirements.lock ./
# The CPU build of PyTorch: the default one for Linux brings several GB of CUDA.
RUN python -m venv /opt/clms && \
    /opt/clms/bin/pip install --no-deps --extra-index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' requirements.lock)" && \
    /opt/clms/bin/pip install --no-deps -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY assistant ./assistant
COPY knowledge ./knowledge
COPY tools ./tools
COPY ui ./ui
RUN /opt/clms/bin/pip install --no-deps --no-build-isolation .

FROM python:3.11-slim-bookworm
COPY --from=build /opt/clms /opt/clms
RUN useradd --system --uid 10001 --home-dir /data clms && install -d -o clms /data
USER clms
# The root of the file system may be read-only: all that is written goes to /data and /tmp.
ENV PATH=/opt/clms/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    CLMS_DATA_DIR=/data CLMS_HOST=0.0.0.0 CLMS_AUTH=required CLMS_LOG_FORMAT=json CLMS_LOG_LEVEL=INFO
WORKDIR /data
VOLUME /data
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=6s --start-period=120s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:7860/healthz', timeout=5)"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["clms-assistant"]
CMD ["serve"]
