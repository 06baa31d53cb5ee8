/**
 * `vapfarm migrate` on a real Postgres, as a Job and an init container run it.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../../services/platform/programs/free-port.ts";
import { playCli } from "../../support/cli-context.ts";
import { startTestPostgres, type TestPostgres } from "../../support/postgres.ts";

let postgres: TestPostgres;
beforeAll(async () => {
  postgres = await startTestPostgres();
});
afterAll(() => postgres.stop());

describe("vapfarm migrate", () => {
  it("waits, while it checks, until another has migrated the database", async () => {
    const environment = { DATABASE_URL: await postgres.createEmptyDatabase() };
    const waiting = playCli(environment);
    const checked = waiting.run("migrate", "--check", "--wait", "1m");
    await waiting.noted("waiting: the database lacks migrations");
    const applied = await playCli(environment).run("migrate");
    expect([applied, await checked]).toEqual([0, 0]);
    expect(waiting.stdout()).toBe("the database is up to date\n");
  });

  it("applies nothing while it checks, and fails at once where nobody asks it to wait", async () => {
    const environment = { DATABASE_URL: await postgres.createEmptyDatabase() };
    for (const round of ["first", "second"]) {
      const cli = playCli(environment);
      expect([round, await cli.run("migrate", "--check")]).toEqual([round, 1]);
      expect(cli.stderr()).toContain("the database lacks migrations: 0001_create_tables");
    }
  });

  it("gives a Postgres that does not answer its time, says what it waits for once, and ends early when it is told to", async () => {
    const cli = playCli({ DATABASE_URL: `postgres://vapfarm@127.0.0.1:${await freePort()}/vapfarm` });
    const ended = cli.run("migrate", "--wait", "10m");
    await cli.noted("waiting: ");
    cli.interrupt();
    expect(await ended).toBe(130);
    expect(cli.stderr().split("waiting: ")).toHaveLength(2);
  });

  it("refuses a wait that is no length of time", async () => {
    const cli = playCli({ DATABASE_URL: "postgres://vapfarm@127.0.0.1:1/vapfarm" });
    expect(await cli.run("migrate", "--wait", "soon")).toBe(2);
    expect(cli.stderr()).toContain('--wait: "soon" is no length of time');
  });
});
