/** The scheduler_config.json of the released CogVideoX variant (spec §1.1.1), also that of the golden checkpoint. */
export const releasedSchedulerConfig: Readonly<Record<string, unknown>> = {
  _class_name: "CogVideoXDDIMScheduler",
  _diffusers_version: "0.34.0.dev0",
  beta_end: 0.012,
  beta_schedule: "scaled_linear",
  beta_start: 0.00085,
  clip_sample: false,
  clip_sample_range: 1,
  num_train_timesteps: 1000,
  prediction_type: "v_prediction",
  rescale_betas_zero_snr: true,
  sample_max_value: 1,
  set_alpha_to_one: true,
  snr_shift_scale: 1,
  steps_offset: 0,
  timestep_spacing: "trailing",
  trained_betas: null,
};
