/**
 * The key of a webhook, from a file: on a command line, other people of the machine could read it.
 */
import { readFile } from "node:fs/promises";
import { invalidOption } from "../ages.ts";

/** The file's text without the spaces around it; FIELD_INVALID naming the option or field when it cannot be read. */
export async function readWebhookSecret(option: string, path: string): Promise<string> {
  const text = await readFile(path, "utf8").catch((thrown: unknown) => {
    throw invalidOption(option, (thrown as Error).message, "name a file that holds whsec_ and base64");
  });
  return text.trim();
}
