# Node and Debian by version and by digest: every build starts from the same files. docs/image.md says how to renew both.
ARG NODE_IMAGE=node:24.21.0-trixie-slim@sha256:173f125896c3b47ddf056734c7ea789d04595a6a08769a8f78e0df642781fb66

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json ./
# Without scripts: those of the packages build nothing that is needed here, and the project's own prepare a clone for work.
RUN --mount=type=cache,target=/root/.npm npm ci --ignore-scripts --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build -- --declaration false --sourceMap false --incremental false --tsBuildInfoFile null \
  && chmod 755 dist/cli/triggers-api.js
COPY .ci/prune-image.mjs .ci/
RUN node .ci/prune-image.mjs

FROM ${NODE_IMAGE}
ENV NODE_ENV=production HOST=0.0.0.0 AUTH_MODE=keys DATA_DIR=/data
WORKDIR /app
RUN ln -s /app/dist/cli/triggers-api.js /usr/local/bin/triggers-api && install -d -m 700 -o 1000 -g 1000 /data
COPY package.json LICENSE ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist

# By number: Kubernetes' runAsNonRoot does not look up names. It is the user `node` of the base.
USER 1000:1000
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 CMD ["triggers-api", "health"]
# The base's entry point would run `node` for what it does not know.
ENTRYPOINT []
CMD ["triggers-api"]

# Last, because a new revision must not make the layers above anew.
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="Triggers API" \
  org.opencontainers.image.description="Events in over HTTP, durable before the reply, an inbox per tenant out" \
  org.opencontainers.image.licenses="MIT" \
  org.opencontainers.image.version="${VERSION}" \
  org.opencontainers.image.source="${SOURCE}" \
  org.opencontainers.image.revision="${REVISION}"
