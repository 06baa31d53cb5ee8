/**
 * What a rename needs beside itself to outlive a power cut.
 */
import { open } from "node:fs/promises";

/** What was made, renamed or removed in the folder is so for good. */
export async function flushFolder(path: string): Promise<void> {
  const folder = await open(path, "r");
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
