/** The kinds of step that a render is made of (design §3), in the order in which it goes through them. */
export const stageNames = ["prepare", "text_encode", "clip_encode", "vae_encode", "denoise", "vae_decode"] as const;
export type StageName = (typeof stageNames)[number];

/**
 * Version of each stage's code, part of every content key: raise one when its results may change for equal
 * inputs, so that what an older release stored is not taken for new.
 */
export const stageCodeVersions: Readonly<Record<StageName, number>> = {
  prepare: 1,
  text_encode: 2,
  clip_encode: 1,
  vae_encode: 1,
  denoise: 1,
  vae_decode: 1,
};

/** Engine → the stage that it computes. A stage may have one engine for a single frame and another for a clip. */
export const stageOfEngine = {
  text_encode: "text_encode",
  clip_encode: "clip_encode",
  vae_encode_image: "vae_encode",
  vae_encode: "vae_encode",
  denoise: "denoise",
  vae_decode: "vae_decode",
} as const satisfies Readonly<Record<string, StageName>>;

export type EngineName = keyof typeof stageOfEngine;
