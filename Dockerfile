# One image for the web server, the workers and the scheduler; compose.yaml shows how each starts.

FROM node:24-slim AS libraries
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci

FROM python:3.13-slim AS packages
COPY requirements.txt .
# luqum writes its parser's tables beside itself at the first import; a site that may not write
# there would make them anew in every process.
RUN python -m venv /opt/venv \
    && /opt/venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt \
    && /opt/venv/bin/python -c "import luqum.parser"

FROM python:3.13-slim
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    FRAMEDECK_VAR=/var/lib/framedeck \
    STATIC_ROOT=/opt/framedeck-static \
    HOST=0.0.0.0 \
    PORT=8000 \
    LOG_FORMAT=json
RUN useradd --system --uid 10001 --home-dir /var/lib/framedeck framedeck \
    && install --directory --owner framedeck /var/lib/framedeck
WORKDIR /opt/framedeck
COPY --from=packages /opt/venv /opt/venv
COPY manage.py ./
COPY project project
COPY frames frames
COPY templates templates
COPY static static
COPY --from=libraries /build/node_modules node_modules
# Byte code now, as the user that runs the site may not write here.
RUN python -m compileall -q project frames \
    && SECRET_KEY=unused FRAMEDECK_VAR=/tmp/build python manage.py collectstatic --no-input \
    && rm -r /tmp/build
USER framedeck
VOLUME /var/lib/framedeck
EXPOSE 8000
# Asks as a browser would: under a name of ALLOWED_HOSTS, which the check of the host wants.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "\
import os, urllib.request; \
host = os.environ.get('ALLOWED_HOSTS', '').split(',')[0].strip('.*') or 'localhost'; \
url = f'http://127.0.0.1:{os.environ[\"PORT\"]}/livez'; \
urllib.request.urlopen(urllib.request.Request(url, headers={'Host': host}), timeout=4)"]
CMD ["gunicorn", "-c", "python:project.gunicorn", "project.wsgi"]
