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

/** Shares of the methods that took part, in their order. One pass over the votes. */
export function preferenceShares(methods: readonly string[], votes: readonly Vote[]): Preferences {
  const refused: RefusedVote[] = [];
  const tallies = new Map(methods.map((method) => [method, { semantic_alignment: 0, overall_quality: 0 }]));
  const seen = new Set<string>();
  votes.forEach((vote, index) => {
    const key = JSON.stringify([vote.rater, vote.trial, vote.question]);
    const tally = tallies.get(vote.choice);
    const reason = seen.has(key) ? "the rater has answered this question of this trial before" : refusal(vote, tally !== undefined);
    if (reason !== undefined) refused.push({ index, reason });
    if (reason !== undefined || tally === undefined || !isAsked(vote.question)) return;
    seen.add(key);
    tally[vote.question] += 1;
  });
  return { counted: seen.size, shares: sharesOf(tallies, seen.size), refused };
}

function refusal({ rater, trial, question, choice }: Vote, takesPart: boolean): string | undefined {
  if (rater === "" || trial === "") return "the vote names no rater or no trial";
  if (!isAsked(question)) return `the question ${JSON.stringify(question)} is not asked`;
  if (choice === "" || choice === "tie") return "a tie is no choice";
  return takesPart ? undefined : `the method ${JSON.stringify(choice)} does not take part`;
}

function isAsked(question: string): question is PreferenceQuestion {
  return (preferenceQuestions as readonly string[]).includes(question);
}

function sharesOf(tallies: ReadonlyMap<string, MethodShare["byQuestion"]>, counted: number): readonly MethodShare[] {
  return Array.from(tallies, ([method, byQuestion]) => {
    const votes = byQuestion.semantic_alignment + byQuestion.overall_quality;
    return { method, votes, ...(counted > 0 ? { share: votes / counted } : {}), byQuestion };
  });
}
