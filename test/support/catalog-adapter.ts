/**
 * Prisma's adapter for the schema engine, which reads columns of Postgres' one-byte type "char" (in the
 * catalog only) that the adapter for programs refuses.
 */
import { PrismaPg } from "@prisma/adapter-pg";
import { ColumnTypeEnum, type SqlMigrationAwareDriverAdapterFactory } from "@prisma/driver-adapter-utils";
import pg from "pg";

const charOid = 18;
const bpcharOid = 1042;

class CatalogPool extends pg.Pool {
  readonly charColumns = new Set<string>();

  // The adapter uses the promise form only.
  override query = (async (...args: unknown[]) => {
    const query = super.query.bind(this) as unknown as (...given: unknown[]) => Promise<pg.QueryResult>;
    const result = await query(...args);
    for (const field of result.fields) {
      if (field.dataTypeID !== charOid) continue;
      field.dataTypeID = bpcharOid;
      this.charColumns.add(field.name);
    }
    return result;
  }) as unknown as pg.Pool["query"];
}

export type CatalogAdapter = { readonly factory: SqlMigrationAwareDriverAdapterFactory; close(): Promise<void> };

/** An adapter factory on a pool of its own; close it after the engine. */
export function openCatalogAdapter(url: string): CatalogAdapter {
  const pool = new CatalogPool({ connectionString: url });
  const factory = new PrismaPg(pool);
  const connect = factory.connect.bind(factory);
  factory.connect = async () => {
    const adapter = await connect();
    const queryRaw = adapter.queryRaw.bind(adapter);
    adapter.queryRaw = async (query) => {
      const result = await queryRaw(query);
      const typeOf = (name: string, index: number) =>
        pool.charColumns.has(name) ? ColumnTypeEnum.Character : (result.columnTypes[index] ?? ColumnTypeEnum.Text);
      return { ...result, columnTypes: result.columnNames.map(typeOf) };
    };
    return adapter;
  };
  return { factory, close: () => pool.end() };
}
