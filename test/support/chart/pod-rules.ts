/**
 * What must be true of every pod of the chart, whatever the values.
 */
import { type Container, containersOf, type EnvironmentEntry, type KubeObject, ofKind, type Pod, podsOf, type Probe } from "./objects.ts";

/** What is wrong with the pods, each with its place. */
export function podFaults(objects: readonly KubeObject[]): readonly string[] {
  const bound = new Set(
    ofKind(objects, "RoleBinding").flatMap(({ subjects }) => (subjects as readonly { readonly name: string }[]).map(({ name }) => name)),
  );
  const accounts = new Set(ofKind(objects, "ServiceAccount").map(({ metadata }) => metadata.name));
  return podsOf(objects).flatMap((pod) => {
    const faults = [...podSecurity(pod), ...account(pod, accounts, bound), ...volumes(pod), ...grace(pod)];
    const ofContainers = containersOf(pod.spec).flatMap((container) =>
      [...containerSecurity(container), ...room(container), ...environment(container), ...probes(container), ...image(container)].map(
        (fault) => `${container.name}: ${fault}`,
      ),
    );
    return [...faults, ...ofContainers].map((fault) => `${pod.owner.kind} ${pod.owner.metadata.name}: ${fault}`);
  });
}

function unless(holds: boolean, fault: string): readonly string[] {
  return holds ? [] : [fault];
}

function podSecurity({ spec }: Pod): readonly string[] {
  const { runAsNonRoot, runAsUser, runAsGroup, seccompProfile } = spec.securityContext ?? {};
  return [
    ...unless(runAsNonRoot === true && Number(runAsUser) > 0 && Number(runAsGroup) > 0, "may run as root"),
    ...unless((seccompProfile as { type?: string } | undefined)?.type === "RuntimeDefault", "has no seccomp profile"),
    ...["hostNetwork", "hostPID", "hostIPC"].flatMap((field) => unless(spec[field] === undefined, `has ${field}`)),
    ...unless(spec.enableServiceLinks === false, "gets the environment of other Services"),
  ];
}

/** A token only where a role says what it is for. */
function account({ spec }: Pod, accounts: ReadonlySet<string>, bound: ReadonlySet<string>): readonly string[] {
  const name = spec.serviceAccountName;
  return [
    ...unless(name === undefined || accounts.has(name), `has a service account ${name ?? ""} that the chart does not make`),
    ...unless(spec.automountServiceAccountToken === bound.has(name ?? "default"), "has a token without need, or none that it needs"),
  ];
}

function containerSecurity({ securityContext = {} }: Container): readonly string[] {
  const { allowPrivilegeEscalation, readOnlyRootFilesystem, capabilities, privileged, runAsUser } = securityContext;
  return [
    ...unless(allowPrivilegeEscalation === false && privileged === undefined && runAsUser === undefined, "may become privileged"),
    ...unless(readOnlyRootFilesystem === true, "may write to its root filesystem"),
    ...unless(JSON.stringify(capabilities) === '{"drop":["ALL"]}', "keeps capabilities"),
  ];
}

function room({ resources = {} }: Container): readonly string[] {
  const { requests = {}, limits = {} } = resources;
  return unless(["cpu", "memory"].every((name) => name in requests) && "memory" in limits, "does not say what it needs");
}

function volumes({ spec, claims }: Pod): readonly string[] {
  const there = [...(spec.volumes ?? []).map(({ name }) => name), ...claims];
  const mounts = containersOf(spec).flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ name }) => name));
  const places = spec.containers.flatMap(({ volumeMounts = [] }) => volumeMounts.map(({ mountPath }) => mountPath));
  const unbounded = (spec.volumes ?? []).filter(({ emptyDir }) => emptyDir !== undefined && !("sizeLimit" in (emptyDir as object)));
  return [
    ...mounts.filter((name) => !there.includes(name)).map((name) => `mounts ${name}, which is no volume of it`),
    ...there.filter((name) => !mounts.includes(name)).map((name) => `has a volume ${name} that nothing mounts`),
    ...unless(new Set(there).size === there.length, "has two volumes of one name"),
    ...unless(new Set(places).size === places.length, "mounts two volumes at one place"),
    ...unbounded.map(({ name }) => `has a folder ${name} without a bound`),
  ];
}

function grace({ owner, spec }: Pod): readonly string[] {
  return unless(owner.kind === "Job" || (spec.terminationGracePeriodSeconds ?? 0) >= 30, "is killed without time to end");
}

const secret = /DATABASE_URL|CALLERS|TOKEN|PASSWORD|SECRET|ACCESS_KEY/;

function environment({ env = [] }: Container): readonly string[] {
  const isPlain = ({ name, value }: EnvironmentEntry): boolean =>
    value !== undefined && (secret.test(name) || /:\/\/[^/]*@/.test(value) || value === "");
  const names = env.map(({ name }) => name);
  return [
    ...env.filter(isPlain).map(({ name }) => `has ${name} in plain sight, or empty`),
    ...unless(new Set(names).size === names.length, "has a variable twice"),
  ];
}

/** Both livenesses ask /healthz, which answers whatever else is down; readiness asks more. */
function probes({ startupProbe, livenessProbe, readinessProbe, ports = [] }: Container): readonly string[] {
  const named = [startupProbe, livenessProbe, readinessProbe].filter((probe) => probe?.httpGet !== undefined);
  const missing = named.filter((probe) => !ports.some(({ name }) => name === probe?.httpGet?.port));
  const own = [startupProbe, livenessProbe].filter((probe): probe is Probe => probe !== undefined);
  return [
    ...missing.map((probe) => `is asked at port ${String(probe?.httpGet?.port)}, which it does not have`),
    ...unless(
      own.every(({ httpGet }) => httpGet?.path.startsWith("/healthz") === true),
      "is ended for what others do",
    ),
  ];
}

function image({ image }: Container): readonly string[] {
  return unless(
    /^[a-z0-9.-]+(\/[a-z0-9._-]+)+(:[\w][\w.-]*|@sha256:[0-9a-f]{64})$/.test(image) && !image.endsWith(":latest"),
    `runs ${image}`,
  );
}
