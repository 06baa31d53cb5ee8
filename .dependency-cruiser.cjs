// Who may import whom (style.md): domain ← platform ← coordinator, worker, client ← cli, which else never import each other;
// each heavy package has one home; a variant is reached through the registry, its schedulers through the variant.
const heavy = (name, packages, home) => ({
  name,
  severity: "error",
  from: { path: "^services/", pathNot: `${home}|^services/gen/` },
  to: { path: `node_modules/(${packages})/` },
});
const apart = (part, others) => ({
  name: `${part}-apart`,
  severity: "error",
  from: { path: `^services/${part}/` },
  to: { path: `^services/(${others})/` },
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: { pathNot: "^services/gen/" }, to: { circular: true } },
    { name: "domain-is-pure", severity: "error", from: { path: "^services/domain/" }, to: { pathNot: "^services/domain/" } },
    {
      name: "platform-below-services",
      severity: "error",
      from: { path: "^services/platform/" },
      to: { path: "^services/(coordinator|worker|cli|client)/" },
    },
    apart("coordinator", "worker|cli|client"),
    apart("worker", "coordinator|cli|client"),
    apart("client", "coordinator|worker|cli"),
    apart("cli", "coordinator|worker"),
    heavy("prisma-in-store", "@prisma/client|@prisma/adapter-pg", "^services/coordinator/store/"),
    heavy("grpc-in-platform", "@grpc/grpc-js|@grpc/reflection|grpc-health-check", "^services/platform/grpc/"),
    heavy("protobuf-in-protojson", "@bufbuild/protobuf", "^services/platform/protojson/"),
    heavy("nats-in-platform", "@nats-io/[^/]+", "^services/platform/nats/"),
    heavy("aws-in-fetch-and-artifacts", "@aws-sdk/[^/]+", "^services/platform/(fetch|artifacts/s3)/"),
    heavy("kubernetes-in-kube", "@kubernetes/client-node", "^services/coordinator/kube/"),
    heavy("opentelemetry-in-tracing", "@opentelemetry/[^/]+", "^services/platform/tracing/"),
    heavy("onnxruntime-in-engines", "onnxruntime-node", "^services/worker/runtime/engines/"),
    heavy("postgres-driver-in-database", "pg", "^services/(platform/database/|platform/programs/postgres\\.ts|coordinator/store/)"),
    {
      name: "variants-by-registry",
      severity: "error",
      from: { path: "^services/", pathNot: "^services/domain/variants/(registry\\.ts|[^/]+/)" },
      to: { path: "^services/domain/variants/[^/]+/" },
    },
    {
      name: "schedulers-by-variant",
      severity: "error",
      from: { path: "^services/", pathNot: "^services/domain/(variants/[^/]+/|vap/schedulers/)" },
      to: { path: "^services/domain/vap/schedulers/", pathNot: "/(scheduler)\\.ts$" },
    },
    { name: "no-unresolved", severity: "error", from: { path: "^services/" }, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^services/gen/" },
    tsConfig: { fileName: "tsconfig.json" },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "require", "node", "default", "types"] },
  },
};
