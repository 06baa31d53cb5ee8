/**
 * `vapfarm bench` against a farm of the test's own answers, with clips and files in a folder of its own.
 */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ExitCode } from "../../services/cli/exit-codes.ts";
import { BeginUploadResponse } from "../../services/gen/proto/vapfarm/v1/farm.ts";
import { type PlayedCli, playCli, type PlayedTerminal } from "./cli-context.ts";
import { answersInOrder } from "./farm-in-order.ts";
import { makeClip } from "./ffmpeg.ts";
import { type Handlers, type ScriptedFarm, startScriptedFarm } from "./scripted-farm.ts";

/** What a command left. */
export type BenchOutcome = { readonly code: ExitCode; readonly stdout: string; readonly stderr: string };

/** A folder with clips/a.mp4 and clips/b.mp4, and farms to ask. */
export class BenchCli {
  readonly root: string;
  #farm: ScriptedFarm | undefined;

  private constructor(root: string) {
    this.root = root;
  }

  static async open(): Promise<BenchCli> {
    const root = await mkdtemp(join(tmpdir(), "vapfarm-bench-"));
    await mkdir(join(root, "clips"));
    await makeClip(join(root, "clips/a.mp4"), { seconds: 1 });
    await makeClip(join(root, "clips/b.mp4"), { size: "80x48", seconds: 1 });
    return new BenchCli(root);
  }

  /** The farm that was asked last. */
  get farm(): ScriptedFarm {
    if (this.#farm === undefined) throw new TypeError("no farm was asked");
    return this.#farm;
  }

  /** Writes a suite's file in the layout of benchmark.csv. */
  async csv(name: string, ...rows: readonly string[]): Promise<string> {
    const path = join(this.root, name);
    await writeFile(path, ["video_paths,ref_video_path,tar_video_caption,ref_video_caption", ...rows].join("\n"));
    return path;
  }

  /** A command line's CLI, its farm started anew. */
  async play(handlers: Handlers, terminal?: PlayedTerminal): Promise<PlayedCli> {
    await this.#farm?.stop();
    this.#farm = await startScriptedFarm({ ...answersInOrder(), beginUpload: knownUpload, ...handlers });
    return playCli({ VAPFARM_ADDRESS: this.farm.address, VAPFARM_CONFIG: join(this.root, "config.json") }, terminal);
  }

  async run(handlers: Handlers, ...args: readonly string[]): Promise<BenchOutcome> {
    const cli = await this.play(handlers);
    const code = await cli.run("bench", ...args);
    return { code, stdout: cli.stdout(), stderr: cli.stderr() };
  }

  async close(): Promise<void> {
    await this.#farm?.stop();
    await rm(this.root, { recursive: true, force: true });
  }
}

/** Every clip is there already. */
function knownUpload({ sha256 = "", sizeBytes }: { sha256?: string; sizeBytes: bigint }) {
  const media = { sha256, sizeBytes, kind: "video", width: 64, height: 48, frames: 16 };
  return BeginUploadResponse.create({ upload: { uploadId: "", receivedBytes: sizeBytes, sizeBytes, media } });
}
