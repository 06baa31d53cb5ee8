/**
 * The methods of benchmarks put together: suites, runs, imports.
 */
import type { FarmServiceServer } from "../../gen/proto/vapfarm/v1/farm.ts";
import type { BenchStore } from "../store/store-contract.ts";
import { createGetPreference, createGetResults, createImportResults, createImportVotes, createListResults } from "./bench-imports.ts";
import { createImportSuite, type ImportDependencies } from "./import-suite.ts";
import type { Methods } from "./method.ts";
import { createListMetricModels, type MetricModelDependencies } from "./metric-models.ts";
import { createGetRun, createListRunItems, createListRuns } from "./runs.ts";
import { createStartRun, type StartRunDependencies } from "./start-run.ts";
import { createGetSuite, createListSuites } from "./suites.ts";

/** What they work with. */
export type BenchmarkDependencies = ImportDependencies & StartRunDependencies & MetricModelDependencies & { readonly store: BenchStore };

/** Each with the role that it needs. */
export function benchmarkMethods({ unary, clientStream }: Methods, dependencies: BenchmarkDependencies) {
  const { store } = dependencies;
  return {
    importSuite: clientStream({ name: "ImportSuite", needs: "member" }, createImportSuite(dependencies)),
    listSuites: unary({ name: "ListSuites", needs: "reader" }, createListSuites(store)),
    getSuite: unary({ name: "GetSuite", needs: "reader" }, createGetSuite(store)),
    listMetricModels: unary({ name: "ListMetricModels", needs: "reader" }, createListMetricModels(dependencies)),
    startRun: unary({ name: "StartRun", needs: "member" }, createStartRun(dependencies)),
    getRun: unary({ name: "GetRun", needs: "reader" }, createGetRun(store)),
    listRuns: unary({ name: "ListRuns", needs: "reader" }, createListRuns(store)),
    listRunItems: unary({ name: "ListRunItems", needs: "reader" }, createListRunItems(store)),
    importResults: unary({ name: "ImportResults", needs: "member" }, createImportResults(store)),
    listResults: unary({ name: "ListResults", needs: "reader" }, createListResults(store)),
    getResults: unary({ name: "GetResults", needs: "reader" }, createGetResults(store)),
    importVotes: unary({ name: "ImportVotes", needs: "member" }, createImportVotes(store)),
    getPreference: unary({ name: "GetPreference", needs: "reader" }, createGetPreference(store)),
  } satisfies Partial<FarmServiceServer>;
}
