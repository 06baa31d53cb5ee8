/** The kinds of step that a render is made of (design §3). */
export type StageName = "prepare" | "text_encode" | "vae_encode" | "denoise" | "vae_decode";
