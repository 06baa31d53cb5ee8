/**
 * Results files of others and votes, by name. An import replaces what was there under its name. Indexes: primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: tenant, $2: name, $3: sha256, $4: text, $5: summary. */
export const importResultsStatement: NamedStatement = {
  name: "vf_import_results",
  text: `with owner as (insert into tenant (id) values ($1) on conflict do nothing)
    insert into imported_results (tenant_id, name, sha256, body, summary) values ($1, $2, $3, $4, $5::jsonb)
    on conflict (tenant_id, name) do update
      set sha256 = excluded.sha256, body = excluded.body, summary = excluded.summary, imported_at = clock_timestamp()
    returning name, sha256, imported_at, summary`,
};

/** $1: tenant. Without the texts. */
export const listResultsStatement: NamedStatement = {
  name: "vf_list_results",
  text: `select i.name, i.sha256, i.imported_at, i.summary from imported_results i where i.tenant_id = $1 order by i.name collate "C"`,
};

/** $1: tenant, $2: name. */
export const getResultsStatement: NamedStatement = {
  name: "vf_get_results",
  text: `select i.name, i.sha256, i.imported_at, i.summary, i.body from imported_results i where i.tenant_id = $1 and i.name = $2`,
};

/** $1: tenant, $2: name. Before the votes of an import, in its transaction; an import of the same name waits for the tenant's row. */
export const dropVotesStatement: NamedStatement = {
  name: "vf_drop_votes",
  text: `with owner as (insert into tenant (id) values ($1) on conflict (id) do update set id = excluded.id returning id)
    delete from preference_vote v using owner o where v.tenant_id = o.id and v.name = $2`,
};

/** $1: tenant, $2: name, $3: votes. */
export const addVotesStatement: NamedStatement = {
  name: "vf_add_votes",
  text: `insert into preference_vote (tenant_id, name, voter, trial, question, methods, choice)
    select $1, $2, x.voter, x.trial, x.question, x.methods, x.choice
    from jsonb_to_recordset($3::jsonb) as x(voter text, trial text, question text, methods text[], choice text)`,
};

/** $1: tenant, $2: name. */
export const listVotesStatement: NamedStatement = {
  name: "vf_list_votes",
  text: `select v.voter, v.trial, v.question, v.methods, v.choice from preference_vote v where v.tenant_id = $1 and v.name = $2
    order by v.voter, v.trial, v.question`,
};
