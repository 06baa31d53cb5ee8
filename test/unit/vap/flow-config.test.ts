import { describe, expect, test } from "vitest";
import { parseFlowFamily } from "../../../services/domain/vap/schedulers/flow-config.ts";
import { flowEulerConfig, unipcConfig } from "../../support/flow-scheduler-config.ts";

const refused = (message: string): Error =>
  expect.objectContaining({ code: "MODEL_INVALID", message: expect.stringContaining(message) as string }) as Error;

describe("a flow-matching scheduler config", () => {
  test.each([
    ["of UniPC", unipcConfig, "unipc"],
    ["of Euler", flowEulerConfig, "euler"],
  ] as const)("%s names its kind and lets a render choose either", (_, config, kind) => {
    const family = parseFlowFamily(config);
    expect(family).toMatchObject({ kind, kinds: ["unipc", "euler"], trainTimesteps: 1000 });
    expect(family.create("unipc", 10).timesteps.slice(0, 3)).toEqual([999, 963, 922]);
    expect(family.create("euler", 4).timesteps.map(Math.round)).toEqual([1000, 858, 602, 9]);
  });

  test("has diffusers' defaults for absent keys", () => {
    const least = { _class_name: "UniPCMultistepScheduler", prediction_type: "flow_prediction", use_flow_sigmas: true };
    const same = { ...unipcConfig, flow_shift: 1 };
    expect(parseFlowFamily(least).create("unipc", 7).timesteps).toEqual(parseFlowFamily(same).create("unipc", 7).timesteps);
    expect(parseFlowFamily({ _class_name: "FlowMatchEulerDiscreteScheduler" }).create("euler", 4).timesteps).toEqual([1000, 667, 334, 1]);
  });

  test.each([
    [{ prediction_type: "epsilon" }, 'prediction_type "epsilon"'],
    [{ prediction_type: undefined }, "prediction_type"],
    [{ use_flow_sigmas: false }, "use_flow_sigmas false"],
    [{ predict_x0: false }, "predict_x0 false"],
    [{ solver_order: 4 }, "solver_order 4"],
    [{ solver_type: "bh1" }, 'solver_type "bh1"'],
    [{ solver_p: ["diffusers", "DDIMScheduler"] }, "solver_p"],
    [{ lower_order_final: false }, "lower_order_final false"],
    [{ final_sigmas_type: "sigma_min" }, 'final_sigmas_type "sigma_min"'],
    [{ disable_corrector: 3 }, "disable_corrector 3"],
    [{ disable_corrector: [-1] }, "disable_corrector [-1]"],
    [{ thresholding: true }, "thresholding true"],
    [{ use_karras_sigmas: true }, "use_karras_sigmas true"],
    [{ use_dynamic_shifting: true }, "use_dynamic_shifting true"],
    [{ shift_terminal: 0.1 }, "shift_terminal 0.1"],
    [{ flow_shift: "3" }, 'flow_shift "3"'],
    [{ flow_shift: 0 }, "flow_shift 0 is not positive"],
    [{ num_train_timesteps: 1.5 }, "num_train_timesteps 1.5"],
    [{ snr_shift_scale: 1 }, "unknown keys: snr_shift_scale"],
    [{ _class_name: "DDIMScheduler" }, '_class_name "DDIMScheduler"'],
  ])("of UniPC with %j is refused", (change, message) => {
    expect(() => parseFlowFamily({ ...unipcConfig, ...change })).toThrow(refused(message));
  });

  test.each([
    [{ use_dynamic_shifting: true }, "use_dynamic_shifting true"],
    [{ invert_sigmas: true }, "invert_sigmas true"],
    [{ stochastic_sampling: true }, "stochastic_sampling true"],
    [{ shift_terminal: 0.1 }, "shift_terminal 0.1"],
    [{ use_beta_sigmas: true }, "use_beta_sigmas true"],
    [{ shift: -1 }, "shift -1 is not positive"],
    [{ flow_shift: 3 }, "unknown keys: flow_shift"],
  ])("of Euler with %j is refused", (change, message) => {
    expect(() => parseFlowFamily({ ...flowEulerConfig, ...change })).toThrow(refused(message));
  });

  test("of order 1 may keep its order to the end, which is the same", () => {
    const config = { ...unipcConfig, solver_order: 1, lower_order_final: false };
    expect(parseFlowFamily(config).create("unipc", 3).timesteps).toHaveLength(3);
  });

  test("that is no object is refused, and so is a kind of another family", () => {
    expect(() => parseFlowFamily([])).toThrow(refused("no object"));
    expect(() => parseFlowFamily(unipcConfig).create("ddim", 10)).toThrow(expect.objectContaining({ code: "FIELD_INVALID" }) as Error);
  });
});
