/**
 * The part of “Pools and GPUs” that the devices tell of themselves. No GPU was at hand where this was written: its series were never recorded, and
 * tests play what the exporter documents.
 */
import type { RowSpec } from "./dashboard.ts";
import type { PanelSpec } from "./panel.ts";
import { metrics } from "./query.ts";

const hardware = (title: string, description: string, rest: Pick<PanelSpec, "unit" | "queries"> & Partial<PanelSpec>): PanelSpec => ({
  kind: "series",
  title,
  description: `${description} From NVIDIA's DCGM exporter beside the workers; the farm does not export it.`,
  width: 8,
  ...rest,
});

export const gpus: RowSpec = {
  title: "GPUs (DCGM exporter; its series were not recorded on a GPU here)",
  lines: [
    {
      height: 8,
      panels: [
        hardware("GPU utilisation", "Share of time in which a kernel ran.", {
          unit: "percent",
          most: 100,
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_GPU_UTIL)", "{{Hostname}} {{gpu}}")],
        }),
        hardware("GPU memory in use", "Of the frame buffer. Near full: engines do not stay resident.", {
          unit: "percentunit",
          most: 1,
          queries: [
            metrics(
              `max by (Hostname, gpu) (DCGM_FI_DEV_FB_USED) / (max by (Hostname, gpu) (DCGM_FI_DEV_FB_USED) + max by (Hostname, gpu) (DCGM_FI_DEV_FB_FREE))`,
              "{{Hostname}} {{gpu}}",
            ),
          ],
        }),
        hardware("GPU temperature", "Above the line it slows itself down.", {
          unit: "celsius",
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_GPU_TEMP)", "{{Hostname}} {{gpu}}")],
          thresholds: [
            [undefined, "green"],
            [88, "red"],
          ],
          runbook: "VapfarmGpuHot",
        }),
      ],
    },
    {
      height: 8,
      panels: [
        hardware("GPU power", "Drawn now.", {
          unit: "watt",
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_POWER_USAGE)", "{{Hostname}} {{gpu}}")],
        }),
        hardware("GPU clock", "Of the multiprocessors. Falls under load: heat or a power cap.", {
          unit: "hertz",
          queries: [metrics("1e6 * max by (Hostname, gpu) (DCGM_FI_DEV_SM_CLOCK)", "{{Hostname}} {{gpu}}")],
        }),
        hardware("Newest XID error", "0: none. The number stays until the exporter starts again.", {
          unit: "none",
          queries: [metrics("max by (Hostname, gpu) (DCGM_FI_DEV_XID_ERRORS)", "{{Hostname}} {{gpu}}")],
          thresholds: [
            [undefined, "green"],
            [1, "red"],
          ],
          runbook: "VapfarmGpuFault",
        }),
      ],
    },
  ],
};
