/**
 * `bench run --out`: the clips of a run, and its panels, as files named by row.
 *
 * A file that is there already with the right hash is not downloaded again.
 */
import { join } from "node:path";
import type { FarmClient } from "../../client/farm-client.ts";
import { toFarmError } from "../../domain/errors.ts";
import type { RunItem } from "../../gen/proto/vapfarm/v1/bench.ts";
import { hashFile } from "../../platform/artifacts/fetch.ts";
import { mapBounded } from "../batch/bounded.ts";
import type { CliContext } from "../context.ts";
import { plainText } from "../table.ts";
import { clipName, digitsOf } from "./clip-names.ts";
import { createCountView } from "./count-view.ts";

/** What is downloaded, and where to. */
export type Downloading = {
  readonly client: FarmClient;
  readonly runId: string;
  readonly items: readonly RunItem[];
  readonly folder: string;
  readonly asJson: boolean;
};

const atOnce = 4;
const endings: Readonly<Record<string, string>> = { mp4: "mp4", panels: "panels.mp4" };

/** Render position → what it is → path. */
export async function downloadClips(
  context: CliContext,
  { client, runId, items, folder, asJson }: Downloading,
): Promise<ReadonlyMap<number, Readonly<Record<string, string>>>> {
  const { signal } = context.interrupts;
  const digits = digitsOf(Math.max(0, ...items.map(({ row }) => row?.position ?? 0)));
  const wanted = items.filter(({ videoSha256 }) => videoSha256 !== "");
  const view = createCountView(context.output, asJson);
  const files = new Map<number, Readonly<Record<string, string>>>();
  // One that the store has lost does not keep the others.
  const isFetched = async (download: Promise<unknown>, name: string): Promise<boolean> => {
    try {
      await download;
      return true;
    } catch (thrown) {
      const { code, message } = toFarmError(thrown);
      if (code !== "ARTIFACT_MISSING" && code !== "ARTIFACT_CORRUPT") throw thrown;
      context.output.note(plainText(`  ${name} cannot be had: ${code}: ${message}`));
      return false;
    }
  };
  const downloadOne = async (item: RunItem): Promise<void> => {
    const { artifacts } = await client.getRender(runId, item.renderPosition, { signal });
    const name = clipName(nameOf(item), digits);
    const own: Record<string, string> = {};
    for (const { name: artifact, sha256 } of artifacts) {
      const ending = endings[artifact];
      if (ending === undefined) continue;
      const path = join(folder, `${name}.${ending}`);
      const request = { jobId: runId, name: artifact, position: item.renderPosition, path };
      if ((await isThere(path, sha256)) || (await isFetched(client.download(request, { signal }), `${name}.${ending}`)))
        own[artifact] = path;
    }
    files.set(item.renderPosition, own);
    view.show("download clips", files.size, wanted.length);
  };
  await mapBounded(wanted, atOnce, downloadOne).finally(() => view.stop());
  return files;
}

/** What an item's clip is named by. */
export function nameOf({ row, renderPosition, seedIndex }: RunItem): Parameters<typeof clipName>[0] {
  return { position: row?.position ?? renderPosition, targetPath: row?.targetPath ?? "", seedIndex };
}

async function isThere(path: string, sha256: string): Promise<boolean> {
  return hashFile(path).then(
    (found) => found.sha256 === sha256,
    () => false,
  );
}
