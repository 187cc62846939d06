# syntax=docker/dockerfile:1

FROM node:24-bookworm-slim AS build
WORKDIR /build
# Dependencies by themselves first: a change of the source leaves this layer in the cache.
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts ./scripts
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund --ignore-scripts

FROM node:24-bookworm-slim
ENV NODE_ENV=production
WORKDIR /opt/rowgate
# A number, not a name: Kubernetes' runAsNonRoot can check it, and the owner of a mounted audit volume can be set to it beforehand.
RUN groupadd --gid 10432 rowgate \
 && useradd --uid 10432 --gid 10432 --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin rowgate \
 && install -d -o 10432 -g 10432 /etc/rowgate /var/log/rowgate
# Owned by root: the process cannot change its own code. Nothing here is written to, so that `--read-only` works; the audit log goes to the volume.
COPY --from=build /build/package.json ./
COPY --from=build /build/node_modules ./node_modules
COPY --from=build /build/dist ./dist
USER 10432:10432
VOLUME ["/var/log/rowgate"]
# 6432: SQL clients. 9187: metrics and health.
EXPOSE 6432 9187
# Alive, not ready: a lost database must not get Rowgate restarted. ROWGATE_HEALTH_URL, if `admin` listens elsewhere.
HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
  CMD ["node", "-e", "fetch(process.env.ROWGATE_HEALTH_URL ?? 'http://127.0.0.1:9187/healthz').then((answer) => process.exit(answer.ok ? 0 : 1), () => process.exit(1))"]
# Node runs as the first process: `serve` handles SIGTERM and SIGHUP itself, and sees its `workers` off.
ENTRYPOINT ["node", "dist/cli/main.js"]
CMD ["serve", "-c", "/etc/rowgate/rowgate.yaml"]
