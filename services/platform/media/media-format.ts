/**
 * Which file formats are accepted, told by their first bytes.
 *
 * The list is closed on purpose: playlists, concat scripts, SVG, PDF and the like can name other files, so they are refused
 * before any decoder sees them, and ffmpeg is always told the demuxer instead of being left to guess.
 */
export type MediaFormat = {
  readonly kind: "image" | "video" | "audio";
  /** ffmpeg's name of the demuxer; unused for images. */
  readonly demuxer: string;
  readonly mediaType: string;
};

/** How many bytes `sniffFormat` looks at. */
export const sniffBytes = 512;

type Magic = { readonly format: MediaFormat; readonly parts: readonly (readonly [offset: number, bytes: string])[] };

function magic(format: readonly [MediaFormat["kind"], string, string], ...parts: (readonly [number, string])[]): Magic {
  const [kind, demuxer, mediaType] = format;
  return { format: { kind, demuxer, mediaType }, parts };
}

/** Brands of still images in the same container as mp4; their decoders are not offered. */
const stillBrands = ["avif", "avis", "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1", "crx "];

/** Bytes are written as Latin-1 text, one character a byte. */
const magics: readonly Magic[] = [
  magic(["image", "-", "image/jpeg"], [0, "\xff\xd8\xff"]),
  magic(["image", "-", "image/png"], [0, "\x89PNG\r\n\x1a\n"]),
  magic(["image", "-", "image/webp"], [0, "RIFF"], [8, "WEBP"]),
  magic(["video", "gif", "image/gif"], [0, "GIF8"]),
  magic(["video", "mov", "video/quicktime"], [4, "ftypqt  "]),
  magic(["video", "mov", "video/mp4"], [4, "ftyp"]),
  magic(["video", "mov", "video/quicktime"], [4, "moov"]),
  magic(["video", "mov", "video/quicktime"], [4, "mdat"]),
  magic(["video", "mov", "video/quicktime"], [4, "wide"]),
  magic(["video", "matroska", "video/x-matroska"], [0, "\x1a\x45\xdf\xa3"]),
  magic(["video", "avi", "video/x-msvideo"], [0, "RIFF"], [8, "AVI "]),
  magic(["video", "flv", "video/x-flv"], [0, "FLV\x01"]),
  magic(["video", "ogg", "video/ogg"], [0, "OggS"]),
  magic(["video", "asf", "video/x-ms-wmv"], [0, "\x30\x26\xb2\x75\x8e\x66\xcf\x11"]),
  magic(["video", "mpeg", "video/mpeg"], [0, "\x00\x00\x01\xba"]),
  magic(["video", "mpegvideo", "video/mpeg"], [0, "\x00\x00\x01\xb3"]),
  magic(["video", "mpegts", "video/mp2t"], [0, "G"], [188, "G"], [376, "G"]),
  magic(["video", "yuv4mpegpipe", "video/x-yuv4mpeg"], [0, "YUV4MPEG2 "]),
  magic(["audio", "wav", "audio/wav"], [0, "RIFF"], [8, "WAVE"]),
  magic(["audio", "flac", "audio/flac"], [0, "fLaC"]),
  magic(["audio", "mp3", "audio/mpeg"], [0, "ID3"]),
  magic(["audio", "mp3", "audio/mpeg"], [0, "\xff\xfb"]),
  magic(["audio", "mp3", "audio/mpeg"], [0, "\xff\xf3"]),
  magic(["audio", "aac", "audio/aac"], [0, "\xff\xf1"]),
];

/** The format that a file's first bytes name, or undefined when it is none of the accepted ones. */
export function sniffFormat(head: Uint8Array): MediaFormat | undefined {
  const text = String.fromCharCode(...head.subarray(0, sniffBytes));
  const found = magics.find(({ parts }) => parts.every(([offset, bytes]) => text.startsWith(bytes, offset)));
  if (found === undefined) return undefined;
  if (found.format.demuxer === "mov" && stillBrands.includes(text.slice(8, 12))) return undefined;
  if (found.format.demuxer === "matroska" && text.includes("webm")) return { ...found.format, mediaType: "video/webm" };
  return found.format;
}
