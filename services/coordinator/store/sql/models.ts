/**
 * Versions of models, their chunks and aliases; the functions are in migration 0020, with their locks and indexes. Else: primary keys,
 * job_model_version_idx, model_alias_move_name_idx.
 */
import type { NamedStatement } from "../../../platform/database/pool.ts";

/** $1: VersionToPush, $2: by. Result: {state, stored, missing}. */
export const beginPushStatement: NamedStatement = { name: "vf_begin_push", text: "select vf_begin_push($1::jsonb, $2) as result" };

/** $1: name, $2: version, $3: sha256. */
export const chunkBytesStatement: NamedStatement = {
  name: "vf_model_chunk",
  text: `select a.size_bytes::double precision as bytes from model_chunk c join artifact a on a.sha256 = c.sha256
    where c.name = $1 and c.version = $2 and c.sha256 = $3`,
};

/** $1: sha256. */
export const chunkStoredStatement: NamedStatement = {
  name: "vf_model_chunk_stored",
  text: "update artifact set is_stored = true, condemned_at = null where sha256 = $1 and not is_stored",
};

/** $1: hashes. */
export const chunksLostStatement: NamedStatement = {
  name: "vf_model_chunks_lost",
  text: "update artifact set is_stored = false, announced_at = clock_timestamp() where sha256 = any ($1::text[])",
};

/** $1: name, $2: version, $3: by. Result: chunks that are missing, null: no such push. */
export const finishPushStatement: NamedStatement = { name: "vf_finish_push", text: "select vf_finish_push($1, $2, $3) as result" };

/** Result: {versions: [{name, version}], aliases: [{name, alias, version}]}. */
export const servedVersionsStatement: NamedStatement = {
  name: "vf_served_versions",
  text: `select jsonb_build_object(
    'versions', coalesce((select jsonb_agg(jsonb_build_object('name', v.name, 'version', v.version) order by v.name, v.version)
      from model_version v where v.state = 'ready'), '[]'),
    'aliases', coalesce((select jsonb_agg(jsonb_build_object('name', a.name, 'alias', a.alias, 'version', a.version) order by a.name, a.alias)
      from model_alias a), '[]')) as result`,
};

/** $1: names, $2: versions, pairwise. */
export const farmJsonsStatement: NamedStatement = {
  name: "vf_farm_jsons",
  text: `select v.name, v.version, v.farm_json from unnest($1::text[], $2::text[]) as asked (name, version)
    join model_version v on v.name = asked.name and v.version = asked.version`,
};

/** $1: name, null: of every model. */
export const listVersionsStatement: NamedStatement = {
  name: "vf_list_versions",
  text: `select v.name, v.version, v.digest, v.label, v.kind, v.weights, v.size_bytes::double precision as size_bytes,
      v.state = 'ready' as is_ready, v.pushed_by, v.pushed_at,
      array(select a.alias from model_alias a where a.name = v.name and a.version = v.version order by a.alias) as aliases,
      (select count(*)::integer from job_model m join job j on j.id = m.job_id
        where m.name = v.name and m.version = v.version and j.state in ('queued', 'running')) as live_jobs,
      (select max(j.created_at) from job_model m join job j on j.id = m.job_id where m.name = v.name and m.version = v.version) as used_at,
      (select count(*)::integer from worker w join session s on s.id = w.session_id
        where s.is_live and s.lease_until > clock_timestamp() and v.name = any (w.models) and w.shapes @> v.shapes) as workers
    from model_version v where $1::text is null or v.name = $1 order by v.name, v.touched_at desc, v.version`,
};

/** $1: name, $2: version. */
export const versionFilesStatement: NamedStatement = {
  name: "vf_version_files",
  text: "select v.files from model_version v where v.name = $1 and v.version = $2",
};

/** $1: name, $2: alias, $3: version or null, $4: by. Result: whether there is such a version, or was such an alias. */
export const moveAliasStatement: NamedStatement = { name: "vf_move_alias", text: "select vf_move_alias($1, $2, $3, $4) as result" };

/** $1: name, null: of every model. */
export const listAliasesStatement: NamedStatement = {
  name: "vf_list_aliases",
  text: `select a.name, a.alias, a.version, a.moved_by, a.moved_at from model_alias a
    where $1::text is null or a.name = $1 order by a.name, a.alias`,
};

/** $1: name, null: of every model, $2: limit. */
export const aliasMovesStatement: NamedStatement = {
  name: "vf_alias_moves",
  text: `select m.name, m.alias, m.from_version, m.to_version, m.moved_by, m.moved_at from model_alias_move m
    where $1::text is null or m.name = $1 order by m.id desc limit $2`,
};

/** $1: name, null: of every model, $2: those touched within so many ms are kept, $3: only say. Result: [VersionFate]. */
export const removeVersionsStatement: NamedStatement = {
  name: "vf_remove_versions",
  text: "select vf_remove_versions($1, vf_after(-$2::double precision), $3) as result",
};
