/**
 * Webhooks: deliveries that are due, made from the event rows that end a job, in the same commit.
 */

export type DueWebhook = {
  readonly jobId: string;
  /** Number of the event that ended the job. */
  readonly eventNumber: number;
  readonly eventKind: string;
  readonly at: Date;
  readonly tenant: string;
  readonly url: string;
  /** Bytes of the signing key, base64. */
  readonly secret: string;
  /** Tries before this one. */
  readonly tries: number;
};

export type WebhookTry =
  | { readonly kind: "delivered" }
  | { readonly kind: "failed"; readonly error: string; /** Undefined: given up. */ readonly nextInMs: number | undefined };

/** What the webhook duty asks of the store; writes check the epoch of duty `webhooks`. */
export type WebhookStore = {
  /** The oldest of each receiver first, then the second of each; a bounded number of one receiver. */
  dueWebhooks(limit: number): Promise<readonly DueWebhook[]>;
  /** False when the duty's epoch is over: nothing was written. */
  recordWebhookTry(dutyEpoch: number, delivery: Pick<DueWebhook, "jobId" | "eventNumber">, outcome: WebhookTry): Promise<boolean>;
};
