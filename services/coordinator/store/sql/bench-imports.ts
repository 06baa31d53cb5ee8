/**
 * Results files of others and votes, by name. An import replaces what was there under its name. Indexes: primary keys.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: tenant. First in the transaction of an import: others of the tenant wait, so that each counts what the one before stored. */
export const lockOwnerStatement: NamedStatement = {
  name: "vf_lock_import_owner",
  text: "insert into tenant (id) values ($1) on conflict (id) do update set id = excluded.id",
};

/** $1: tenant, $2: name, $3: sha256, $4: text, $5: summary, $6: most names. No row where the name would be one too many. */
export const importResultsStatement: NamedStatement = {
  name: "vf_import_results",
  text: `insert into imported_results (tenant_id, name, sha256, body, summary)
    select $1, $2, $3, $4, $5::jsonb
    where exists (select 1 from imported_results i where i.tenant_id = $1 and i.name = $2)
      or (select count(*) from imported_results i where i.tenant_id = $1) < $6
    on conflict (tenant_id, name) do update
      set sha256 = excluded.sha256, body = excluded.body, summary = excluded.summary, imported_at = clock_timestamp()
    returning name, sha256, imported_at, summary`,
};

/** $1: tenant. Without the texts and without remarks, of which there may be many. */
export const listResultsStatement: NamedStatement = {
  name: "vf_list_results",
  text: `select i.name, i.sha256, i.imported_at, i.summary || '{"remarks": []}' as summary from imported_results i where i.tenant_id = $1
    order by i.name collate "C"`,
};

/** $1: tenant, $2: name. */
export const getResultsStatement: NamedStatement = {
  name: "vf_get_results",
  text: `select i.name, i.sha256, i.imported_at, i.summary, i.body from imported_results i where i.tenant_id = $1 and i.name = $2`,
};

/** $1: tenant, $2: name. Before the votes of an import, in its transaction. */
export const dropVotesStatement: NamedStatement = {
  name: "vf_drop_votes",
  text: "delete from preference_vote v where v.tenant_id = $1 and v.name = $2",
};

/** $1: tenant. How many names there are: a step of the primary key for each, however many votes it has. */
export const countVoteNamesStatement: NamedStatement = {
  name: "vf_count_vote_names",
  text: `with recursive names as (
      select min(v.name) as name from preference_vote v where v.tenant_id = $1
      union all
      select (select min(v.name) from preference_vote v where v.tenant_id = $1 and v.name > n.name) from names n where n.name is not null)
    select count(n.name)::integer as count from names n`,
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
