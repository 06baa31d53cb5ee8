/**
 * Everything that moves for one attempt: its scratch folder, its inputs, its outputs.
 */
import type { TransferPort } from "../session/attempt-ports.ts";
import { fetchInputs } from "./inputs.ts";
import { discardOutput, hashOutputs, type OutputTarget, putOutputs } from "./outputs.ts";
import type { Scratch } from "./scratch.ts";

/** The transfer of an agent. */
export function createTransfer(options: OutputTarget & { readonly scratch: Scratch }): TransferPort {
  return {
    async open() {
      const folder = await options.scratch.open();
      const { inputFolder, outputFolder } = folder;
      return {
        outputFolder,
        fetch: (inputs, signal) => fetchInputs(options, { inputs, folder: inputFolder }, signal),
        hash: hashOutputs,
        put: (files, signal) => putOutputs(options, files, signal),
        putOnce: ({ artifact, path }, signal) => options.store.put(artifact.sha256, path, signal),
        discard: discardOutput,
        close: () => folder.close(),
      };
    },
  };
}
