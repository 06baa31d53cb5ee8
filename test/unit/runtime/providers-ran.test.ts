import { readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";
import { int64 } from "../../../services/domain/tensors/tensor.ts";
import { engineOf } from "../../../services/platform/models/manifest.ts";
import { openModel } from "../../../services/platform/models/repository.ts";
import { openSession } from "../../../services/worker/runtime/engines/onnx-session.ts";
import { inOrder, providersOf } from "../../../services/worker/runtime/engines/providers-ran.ts";

const demo = fileURLToPath(new URL("../../../models/demo", import.meta.url));

describe("the providers that ran", () => {
  it("are read from a profile's nodes, named as in the settings", () => {
    const node = (provider: string) => ({ cat: "Node", args: { provider } });
    const events = [{ cat: "Session" }, node("CUDAExecutionProvider"), node("CPUExecutionProvider"), node("CUDAExecutionProvider")];
    expect(providersOf(JSON.stringify(events))).toEqual(["cuda", "cpu"]);
    expect(providersOf(JSON.stringify([node("TensorrtExecutionProvider")]))).toEqual(["tensorrt"]);
  });

  it("come in the order of the settings, and one that nobody named last", () => {
    expect(inOrder(new Set(["other", "cpu", "cuda"]), ["tensorrt", "cuda", "cpu"])).toEqual(["cuda", "cpu", "other"]);
  });

  it.each([[["cpu"]], [["warp", "cpu"]]])(
    "of a session opened with %j are what ONNX Runtime used, and leave no file behind",
    async (providers) => {
      const model = await openModel(demo);
      const engine = engineOf(model, "text_encode");
      const before = await profileFolders();
      const session = await openSession(join(model.folder, engine.path), engine, { providers, threads: 1, deviceId: 0 });
      for (let run = 0; run < 2; run += 1) {
        await session.run({ input_ids: int64([1, 226], new BigInt64Array(226)) });
        expect(session.ranOn()).toEqual(["cpu"]);
      }
      await session.close();
      expect(await profileFolders()).toEqual(before);
    },
  );
});

async function profileFolders(): Promise<readonly string[]> {
  return (await readdir(tmpdir())).filter((name) => name.startsWith("vapfarm-profile-"));
}
