/**
 * Which pool renders a model: the one that names it, else the one that names none (a second is refused by the config).
 *
 * A farm of one pool serves every model with it. With several, models share a pool or have one each, and a pool without names takes the
 * rest; where each pool has names, a model that none of them names is not served.
 */
export type PoolOfModels = {
  readonly name: string;
  /** Absent: every model that no pool names. */
  readonly models?: readonly string[] | undefined;
};

/** The pool that renders the model; undefined when none does. */
export function poolOfModel<Pool extends PoolOfModels>(model: string, pools: readonly Pool[]): Pool | undefined {
  return pools.find(({ models }) => models?.includes(model)) ?? pools.find(({ models }) => models === undefined);
}
