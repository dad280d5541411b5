FROM node:24-trixie-slim AS build
WORKDIR /app
COPY package.json package-lock.json ./
COPY .ci/prepare.mjs .ci/prune-binaries.mjs .ci/
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build && chmod +x dist/cli/triggers-api.js && npm prune --omit=dev

FROM node:24-trixie-slim
ENV NODE_ENV=production HOST=0.0.0.0 AUTH_MODE=keys DATA_DIR=/data
WORKDIR /app
COPY --from=build /app/package.json ./
COPY --from=build /app/node_modules node_modules
COPY --from=build /app/dist dist
RUN ln -s /app/dist/cli/triggers-api.js /usr/local/bin/triggers-api && mkdir /data && chown node:node /data
USER node
VOLUME /data
EXPOSE 8080
CMD ["triggers-api"]
