/**
 * Suites and their rows. A suite is stored in one transaction: its row, its rows in parts, its uploads.
 *
 * Locks: the suite's key, which only an import of the same rows waits for; artifacts and uploads by hash. Indexes: primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

const columns = `s.id, s.name, s.row_count, s.kinds, s.created_at, (extract(epoch from s.created_at) * 1000000)::bigint::text as created_at_us`;

/** $1: tenant, $2: id, $3: name, $4: rows, $5: kinds. Result: a row when there was none. */
export const beginSuiteStatement: NamedStatement = {
  name: "vf_begin_suite",
  text: `with owner as (insert into tenant (id) values ($1) on conflict do nothing)
    insert into suite (tenant_id, id, name, row_count, kinds) values ($1, $2, $3, $4, $5::jsonb) on conflict do nothing returning id`,
};

/** $1: tenant, $2: suite, $3: rows. */
export const addSuiteRowsStatement: NamedStatement = {
  name: "vf_add_suite_rows",
  text: "select vf_add_suite_rows($1, $2, $3::jsonb)::text as result",
};

/** $1: tenant, $2: suite. Result: hashes of uploads that are missing, and then nothing may be committed. */
export const finishSuiteStatement: NamedStatement = { name: "vf_finish_suite", text: "select vf_finish_suite($1, $2) as result" };

/** $1: tenant, $2: an id, the beginning of one, or a name; $3: most. A whole id means itself. */
export const findSuitesStatement: NamedStatement = {
  name: "vf_find_suites",
  text: `select ${columns} from suite s
    where s.tenant_id = $1 and (s.id = $2 or (not exists (select 1 from suite e where e.tenant_id = $1 and e.id = $2)
      and (s.name = $2 or ($2 ~ '^[0-9a-f]{8,63}$' and starts_with(s.id, $2)))))
    order by s.created_at desc, s.id desc limit $3`,
};

/** $1: tenant, $2: microseconds or null, $3: id: those after it, the newest first; $4: most. */
export const listSuitesStatement: NamedStatement = {
  name: "vf_list_suites",
  text: `select ${columns} from suite s
    where s.tenant_id = $1 and ($2::bigint is null
      or (s.created_at, s.id) < (timestamptz 'epoch' + $2::bigint * interval '1 microsecond', $3::text))
    order by s.created_at desc, s.id desc limit $4`,
};

/** $1: tenant, $2: suite, $3: positions. */
export const suiteRowsStatement: NamedStatement = {
  name: "vf_suite_rows",
  text: `select r.* from suite_row r where r.tenant_id = $1 and r.suite_id = $2 and r.position = any ($3) order by r.position`,
};
