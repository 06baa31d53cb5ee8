/**
 * Making a folder with all that it lies in.
 *
 * Node's own recursive mkdir never ends where a system says that a parent is missing which is there, as /proc does.
 */
import { mkdir, stat } from "node:fs/promises";
import { dirname } from "node:path";

/** The outermost folder that was made; undefined when all was there. Fails with the system's word: ENOTDIR, EACCES, ENOENT. */
export async function makeFolder(path: string): Promise<string | undefined> {
  try {
    await mkdir(path);
    return path;
  } catch (thrown) {
    const { code } = thrown as NodeJS.ErrnoException;
    if (code === "EEXIST" && (await stat(path)).isDirectory()) return undefined;
    if (code !== "ENOENT" || dirname(path) === path) throw thrown;
    const outermost = await makeFolder(dirname(path));
    if (outermost === undefined) throw thrown;
    return (await makeFolder(path)) === undefined ? undefined : outermost;
  }
}
