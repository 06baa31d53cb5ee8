/**
 * The pages' style, script and icon, read once, under names that hold their content's hash: they may be kept for ever.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const mediaTypes = {
  "pages.css": "text/css; charset=utf-8",
  "pages.js": "text/javascript; charset=utf-8",
  "icon.svg": "image/svg+xml",
} as const;

/** A file of the folder beside this module. */
export type AssetName = keyof typeof mediaTypes;

/** What is sent for an asset. */
export type Asset = { readonly path: string; readonly type: string; readonly bytes: Buffer };

const assets: ReadonlyMap<string, Asset> = new Map(
  (Object.keys(mediaTypes) as AssetName[]).map((name) => {
    const bytes = readFileSync(join(import.meta.dirname, "assets", name));
    const hash = createHash("sha256").update(bytes).digest("base64url").slice(0, 12);
    return [name, { path: `assets/${hash}/${name}`, type: mediaTypes[name], bytes }];
  }),
);

const byPath: ReadonlyMap<string, Asset> = new Map([...assets.values()].map((asset) => [`/${asset.path}`, asset]));

/** Where an asset is, below the root. */
export function assetPath(name: AssetName): string {
  return assets.get(name)?.path ?? "";
}

/** The asset at a path. */
export function assetAt(pathname: string): Asset | undefined {
  return byPath.get(pathname);
}
