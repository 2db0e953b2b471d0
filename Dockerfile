# The server alone, as a small image: no tray, no root, nothing written outside /data.
# Build arguments: none. See docs/server.md.
# The digest is that of Python 3.13.14's image for all processors. A newer one:
# docker buildx imagetools inspect python:3.13-slim-bookworm (dependabot asks for it every week).
FROM python:3.13-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8 AS build
COPY requirements-server.txt /
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r /requirements-server.txt \
    && /venv/bin/pip uninstall --quiet --yes pip
COPY main.py LICENSE /app/
COPY server /app/server/
COPY tray /app/tray/
COPY webui /app/webui/
# The root file system may be read-only later, so bytecode is made here.
RUN python -m compileall -q --invalidation-mode unchecked-hash /app

FROM python:3.13-slim-bookworm@sha256:67a1e1f215ccda113cfc024e8639049257e88f273898f595b61476d128d387e8
RUN useradd --system --uid 10001 --user-group --home-dir /data --no-create-home \
        --shell /usr/sbin/nologin gemini \
    && install -d -o gemini -g gemini -m 700 /data
COPY --from=build /venv /venv/
COPY --from=build /app /app/
ENV PATH=/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DATA_DIR=/data \
    PORT=8080
WORKDIR /data
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
# No curl in the image, and http_proxy must not send the question elsewhere.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["python", "-c", \
    "import http.client, os, sys; c = http.client.HTTPConnection('127.0.0.1', int(os.environ['PORT']), timeout=4); c.request('GET', '/health'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["python", "/app/main.py", "--headless"]
