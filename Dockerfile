# An image with the `slackwater` command, from this checkout: docker build -t slackwater .
# Put a handler on top of it (docs/operating.md has compose and Kubernetes):
#   FROM slackwater
#   COPY handler.ts ./
#   CMD ["run", "handler.ts"]
FROM node:24-slim AS build
WORKDIR /src
COPY . .
RUN npm ci --no-audit --no-fund && npm pack --pack-destination /tmp

FROM node:24-slim
WORKDIR /bot
COPY --from=build /tmp/slackwater-*.tgz /tmp/
RUN echo '{ "private": true, "type": "module" }' > package.json \
  && npm install --omit=dev --no-audit --no-fund /tmp/slackwater-*.tgz \
  && npm cache clean --force && rm -f /tmp/slackwater-*.tgz \
  && install -d -o node -g node -m 0700 /data
ENV PATH=/bot/node_modules/.bin:$PATH SLACKWATER_DATA_DIR=/data SLACKWATER_HOST=0.0.0.0
USER node
VOLUME /data
EXPOSE 8787
# Reached from outside of the container, so SLACKWATER_ADMIN_TOKEN must be set: without it the gateway does not start.
HEALTHCHECK --interval=30s --timeout=10s --start-period=60s --retries=3 CMD ["slackwater", "healthcheck"]
ENTRYPOINT ["slackwater"]
CMD ["--help"]
