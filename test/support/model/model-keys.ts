/**
 * Which tasks of the model serve what is planned: those that are there, or a new generation where one is needed.
 */
import type { PlannedTask } from "../../../services/domain/planned-task.ts";
import type { Model, ModelTask } from "./queue-model.ts";

/** What is needed to make a task of a key. */
export type Plan = {
  readonly key: string;
  readonly shape: string;
  readonly inputs: readonly { readonly name: string; readonly key: string }[];
  /** Whether it must be there itself, and not only for what takes it. */
  readonly isAsked: boolean;
};

export const planOf = ({ contentKey, shape, inputs, artifacts }: PlannedTask): Plan => ({
  key: contentKey,
  shape,
  inputs: inputs.flatMap(({ name, source }) => (source.kind === "task" ? [{ name, key: source.contentKey }] : [])),
  isAsked: artifacts.length > 0,
});

/** As a task was planned. */
export const planOfTask = ({ key, shape, inputs }: ModelTask, isAsked: boolean): Plan => ({
  key,
  shape,
  inputs: inputs.map(({ name, producer }) => ({ name, key: producer.key })),
  isAsked,
});

/** Each key once; asked for when any of them is. */
function eachOnce(plans: readonly Plan[]): readonly Plan[] {
  const asked = new Set(plans.filter(({ isAsked }) => isAsked).map(({ key }) => key));
  const firsts = plans.filter(({ key }, index) => plans.findIndex((plan) => plan.key === key) === index);
  return firsts.map((plan) => ({ ...plan, isAsked: asked.has(plan.key) }));
}

/** A key's task of the newest generation, unless that is retired. */
const currentOf = (model: Model, key: string): ModelTask | undefined => model.tasks.find((task) => task.key === key && !task.isRetired);

const isDead = ({ place, outputs }: ModelTask): boolean =>
  place === "failed" ||
  place === "cancelled" ||
  (place === "succeeded" && (outputs.length === 0 || outputs.some(({ isStored }) => !isStored)));

const isKept = (task: ModelTask | undefined): boolean => task?.place === "succeeded" && !isDead(task);

/** The task of the key that succeeded last; the current one before all others. */
function lastSucceeded(model: Model, key: string): ModelTask | undefined {
  const done = model.tasks.filter((task) => task.key === key && task.place === "succeeded");
  return done.toSorted((left, right) => Number(left.isRetired) - Number(right.isRetired) || right.generation - left.generation)[0];
}

/** What must be open or kept: what is asked for, what nothing takes, what never succeeded, and what is taken by such whose outputs are not kept. */
function neededKeys(model: Model, plans: readonly Plan[]): ReadonlySet<string> {
  const isTaken = (key: string): boolean => plans.some(({ inputs }) => inputs.some((input) => input.key === key));
  const roots = plans.filter(({ key, isAsked }) => isAsked || !isTaken(key) || lastSucceeded(model, key) === undefined);
  const needed = new Set<string>();
  const need = (key: string): void => {
    if (needed.has(key)) return;
    needed.add(key);
    if (!isKept(currentOf(model, key))) for (const input of plans.find((plan) => plan.key === key)?.inputs ?? []) need(input.key);
  };
  for (const { key } of roots) need(key);
  return needed;
}

/** The task of each plan; what is needed and can serve no new user gets a new generation, what is not is used as it ended. Fresh ones have no users yet. */
export function takeTasks(
  model: Model,
  planned: readonly Plan[],
  tenant: string,
): { readonly taken: ModelTask[]; readonly fresh: ModelTask[] } {
  const plans = eachOnce(planned);
  const needed = neededKeys(model, plans);
  const fresh: ModelTask[] = [];
  const taken = plans.map(({ key, shape }) => {
    const known = currentOf(model, key);
    const done = needed.has(key) || isKept(known) ? undefined : lastSucceeded(model, key);
    if (done !== undefined) return done;
    if (known !== undefined && !isDead(known)) {
      for (const output of known.outputs) output.isCondemned = false;
      return known;
    }
    if (known !== undefined) known.isRetired = true;
    const generation = model.tasks.filter((task) => task.key === key).length + 1;
    const made = newTask({ key, generation, tenant, shape, id: -model.tasks.length });
    model.tasks.push(made);
    fresh.push(made);
    return made;
  });
  for (const task of fresh) {
    const plan = plans.find(({ key }) => key === task.key);
    task.inputs = (plan?.inputs ?? []).map(({ name, key }) => ({
      name,
      producer: taken[plans.findIndex((each) => each.key === key)] ?? task,
    }));
  }
  return { taken, fresh };
}

function newTask(fields: Pick<ModelTask, "key" | "generation" | "tenant" | "shape" | "id">): ModelTask {
  return {
    ...fields,
    place: "blocked",
    isRetired: false,
    inputs: [],
    attempts: [],
    current: undefined,
    failures: {},
    failureCode: undefined,
    outputs: [],
    uses: new Set(),
    endedAt: 0,
    checkpoint: undefined,
    avoid: [],
    isRipe: false,
    slot: undefined,
  };
}
