/**
 * Why the made-up farm's failed job failed: three tries, one of them lost.
 */
import { FailedTask } from "../../services/gen/proto/vapfarm/v1/operator.ts";
import { jobIds, worldNow } from "./pages-world.ts";

const ago = (ms: number): Date => new Date(worldNow.getTime() - ms);

/** Its log holds what no page may run, and a line that no window is wide enough for. */
export const worldFailures: readonly FailedTask[] = [
  FailedTask.create({
    taskId: 107n,
    tenant: "studio-north",
    stage: "denoise",
    pool: "a100",
    model: "demo",
    code: "SUSPECTED_POISON",
    message: "3 attempts on 3 workers ended without a known cause",
    remedy: "look at its attempts before trying it again",
    endTime: ago(60_000),
    attempts: [1, 2, 3].map((number) => ({
      number,
      workerId: `worker-${number}`,
      workerName: `gpu-node-${number}/0`,
      outcome: number === 2 ? "lost" : "failed",
      code: "RUNTIME_DIED",
      errorClass: "unexplained",
      message: "the stage runtime ended (SIGSEGV)",
      startTime: ago(200_000),
      endTime: ago(90_000),
      ...(number === 2 ? {} : { logTail: `${"a long line ".repeat(40)}\n<script>globalThis.pwned = 1</script>\n` }),
    })),
    renders: [{ jobId: jobIds.failed, position: 0 }],
    renderCount: 1,
  }),
];
