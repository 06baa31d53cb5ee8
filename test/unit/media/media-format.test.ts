import { describe, expect, it } from "vitest";
import { sniffFormat } from "../../../services/platform/media/media-format.ts";
import { parseFfmpegVersion } from "../../../services/platform/programs/ffmpeg.ts";

const latin1 = (text: string): Uint8Array => Buffer.from(text, "latin1");

describe("sniffFormat", () => {
  it.each([
    ["\xff\xd8\xff\xe0", "image/jpeg"],
    ["\x89PNG\r\n\x1a\n", "image/png"],
    ["RIFF\0\0\0\0WEBPVP8 ", "image/webp"],
    ["\0\0\0\x20ftypisom", "video/mp4"],
    ["\0\0\0\x20ftypqt  ", "video/quicktime"],
    ["\x1a\x45\xdf\xa3....webm", "video/webm"],
    ["\x1a\x45\xdf\xa3....matroska", "video/x-matroska"],
    ["RIFF\0\0\0\0AVI LIST", "video/x-msvideo"],
    ["RIFF\0\0\0\0WAVEfmt ", "audio/wav"],
  ])("knows %j", (text, mediaType) => {
    expect(sniffFormat(latin1(text))?.mediaType).toBe(mediaType);
  });

  it.each([
    "",
    "#EXTM3U\n",
    "ffconcat version 1.0",
    "<svg>",
    "<?xml",
    "%PDF-1.7",
    "\0\0\0\x20ftypavif",
    "\0\0\0\x20ftypheic",
    "v=0\r\no=- 0 0",
  ])("accepts nothing that it does not know, or that can name other files: %j", (text) => {
    expect(sniffFormat(latin1(text))).toBeUndefined();
  });
});

describe("parseFfmpegVersion", () => {
  it.each([
    ["ffmpeg version 7.0.2-static https://johnvansickle.com/ffmpeg/", "7.0.2-static"],
    ["ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026", "5.1.9-0+deb12u1"],
    ["bash: no such program", undefined],
  ])("reads %j", (text, version) => {
    expect(parseFfmpegVersion(text)).toBe(version);
  });
});
