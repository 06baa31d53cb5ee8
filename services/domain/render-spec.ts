/**
 * One video to make, with every default filled in: what a job stores and what its tasks are planned from.
 */
import type { MetricName } from "./vbench/metric.ts";

export const schedulerKinds = ["ddim", "dpm", "unipc", "euler"] as const;
export type SchedulerKind = (typeof schedulerKinds)[number];
export type FrameSelection = "evenly" | "first";
export type OutputKind = "mp4" | "latents" | "frames" | "panels";

/** What is measured of the mp4, and with which networks. */
export type ScoreSpec = { readonly metricsModel: string; readonly metrics: readonly MetricName[] };

/** What a client should know of a render that was accepted as it is. */
export type RenderWarning = { readonly code: string; readonly message: string };

/** Media of the tenant, named by the SHA-256 of its bytes (hex). */
export type MediaReference = {
  readonly sha256: string;
  /** The address that the bytes were fetched from, when they were. */
  readonly sourceUri?: string;
};

export type RenderSpec = {
  readonly model: string;
  readonly image: MediaReference;
  readonly prompt: string;
  readonly negativePrompt: string;
  /** As many as the model takes, in the order in which it sees them. */
  readonly references: readonly MediaReference[];
  /** One for each reference. */
  readonly referencePrompts: readonly string[];
  /** 0 .. 2^63-1 as a decimal string: JSON has no 64-bit integers. */
  readonly seed: string;
  /** 1 .. 1000. */
  readonly steps: number;
  readonly guidanceScale: number;
  readonly dynamicGuidance: boolean;
  readonly scheduler: SchedulerKind;
  readonly frameSelection: FrameSelection;
  readonly outputs: readonly OutputKind[];
  readonly width: number;
  readonly height: number;
  readonly frames: number;
  /** What the result stands beside in its panels. */
  readonly target?: MediaReference;
  readonly scores?: ScoreSpec;
  /** What follows from the settings alone, as the model's scheduler had it at submit; absent in what earlier releases stored. */
  readonly warnings?: readonly RenderWarning[];
};
