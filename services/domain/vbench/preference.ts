/**
 * The paper's preference rate: raters see the reference and every method's clip, and choose one for semantic alignment and one for overall quality; a
 * method's rate is its share of all choices (paper §4.2; spec vbench §4).
 *
 * A tie is no choice, and a rater chooses once per trial and question: such votes are refused with a reason and count for nobody.
 */

export const preferenceQuestions = ["semantic_alignment", "overall_quality"] as const;
export type PreferenceQuestion = (typeof preferenceQuestions)[number];

export type Vote = {
  readonly rater: string;
  /** The clips that were compared: a row of the suite. */
  readonly trial: string;
  readonly question: string;
  /** The method that was chosen; empty or "tie" where none was. */
  readonly choice: string;
};

export type RefusedVote = { readonly index: number; readonly reason: string };

export type MethodShare = {
  readonly method: string;
  readonly votes: number;
  /** Of all choices, 0..1; nothing where there is no choice. */
  readonly share?: number;
  readonly byQuestion: Readonly<Record<PreferenceQuestion, number>>;
};

export type Preferences = { readonly counted: number; readonly shares: readonly MethodShare[]; readonly refused: readonly RefusedVote[] };

/** Shares of the methods that took part, in their order. */
export function preferenceShares(methods: readonly string[], votes: readonly Vote[]): Preferences {
  const refused: RefusedVote[] = [];
  const counted: Vote[] = [];
  const seen = new Set<string>();
  votes.forEach((vote, index) => {
    const key = JSON.stringify([vote.rater, vote.trial, vote.question]);
    const reason = seen.has(key) ? "the rater has answered this question of this trial before" : refusal(vote, methods);
    if (reason !== undefined) return refused.push({ index, reason });
    seen.add(key);
    return counted.push(vote);
  });
  return { counted: counted.length, shares: methods.map((method) => shareOf(method, counted)), refused };
}

function refusal({ rater, trial, question, choice }: Vote, methods: readonly string[]): string | undefined {
  if (rater === "" || trial === "") return "the vote names no rater or no trial";
  if (!(preferenceQuestions as readonly string[]).includes(question)) return `the question ${JSON.stringify(question)} is not asked`;
  if (choice === "" || choice === "tie") return "a tie is no choice";
  return methods.includes(choice) ? undefined : `the method ${JSON.stringify(choice)} does not take part`;
}

function shareOf(method: string, votes: readonly Vote[]): MethodShare {
  const own = votes.filter(({ choice }) => choice === method);
  const of = (asked: PreferenceQuestion): number => own.filter(({ question }) => question === asked).length;
  const byQuestion = { semantic_alignment: of("semantic_alignment"), overall_quality: of("overall_quality") };
  return { method, votes: own.length, ...(votes.length > 0 ? { share: own.length / votes.length } : {}), byQuestion };
}
