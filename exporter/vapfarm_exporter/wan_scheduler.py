"""A Wan checkpoint's scheduler config, checked: UniPC or FlowMatchEuler on flow sigmas.

What is accepted is what the runtime has arithmetic for, no more and no less (services/domain/vap/schedulers/flow-config):
a shared list of configs holds both to it. Refused is also what gives the reference itself latents that are not finite.
"""

from .config_checks import Allowed, ConfigFile, Json

CLASSES = ("UniPCMultistepScheduler", "FlowMatchEulerDiscreteScheduler")
# diffusers saves null for a switch that nobody set.
_OFF = (False, None)

# Keys in effect must have these values; what flow sigmas make idle (betas, spacing) is not looked at.
_UNIPC_REQUIRED: Allowed = {"prediction_type": ("flow_prediction",), "use_flow_sigmas": (True,)}
_UNIPC_FIXED: Allowed = {
    "solver_order": (1, 2, 3),
    "solver_type": ("bh2",),
    "predict_x0": (True,),
    "thresholding": _OFF,
    "lower_order_final": (True, False),
    "solver_p": (None,),
    "final_sigmas_type": ("zero",),
    "use_karras_sigmas": _OFF,
    "use_exponential_sigmas": _OFF,
    "use_beta_sigmas": _OFF,
    "use_dynamic_shifting": _OFF,
    "sigma_min": (None,),
    "sigma_max": (None,),
    "shift_terminal": (None,),
}
_UNIPC_IDLE = {
    "beta_end",
    "beta_schedule",
    "beta_start",
    "dynamic_thresholding_ratio",
    "rescale_betas_zero_snr",
    "sample_max_value",
    "steps_offset",
    "time_shift_type",
    "timestep_spacing",
    "trained_betas",
}
_EULER_FIXED: Allowed = {
    "use_dynamic_shifting": _OFF,
    "invert_sigmas": _OFF,
    "shift_terminal": (None,),
    "use_karras_sigmas": _OFF,
    "use_exponential_sigmas": _OFF,
    "use_beta_sigmas": _OFF,
    "stochastic_sampling": _OFF,
}
_EULER_IDLE = {"base_image_seq_len", "base_shift", "max_image_seq_len", "max_shift", "time_shift_type"}


def check_scheduler_config(config: Json) -> None:
    """Refuse a scheduler that the farm has no arithmetic for, and settings that would change its arithmetic."""
    file = ConfigFile("scheduler_config.json", config)
    file.refuse_other_values({"_class_name": CLASSES}, required=True)
    if config["_class_name"] == CLASSES[0]:
        file.refuse_unknown(
            {*_UNIPC_REQUIRED, *_UNIPC_FIXED, *_UNIPC_IDLE, "disable_corrector", *_schedule_keys(file, "flow_shift")}
        )
        file.refuse_other_values(_UNIPC_REQUIRED, required=True)
        file.refuse_other_values(_UNIPC_FIXED)
        _check_solver(file)
    else:
        file.refuse_unknown({*_EULER_FIXED, *_EULER_IDLE} | _schedule_keys(file, "shift"))
        file.refuse_other_values(_EULER_FIXED)


def _schedule_keys(file: ConfigFile, shift: str) -> set[str]:
    """Check the length of the training schedule and its shift; the keys that need no other look."""
    if file.count("num_train_timesteps", 1000) < 2:
        raise file.refused("num_train_timesteps = 1 is too small")
    file.positive(shift, 1.0)
    return {"num_train_timesteps", shift, *(key for key in file.values if key.startswith("_"))}


def _check_solver(file: ConfigFile) -> None:
    if file.values.get("lower_order_final", True) is False and file.values.get("solver_order", 2) != 1:
        raise file.refused("lower_order_final = False with an order above 1 ends in latents that are not finite")
    uncorrected = file.values.get("disable_corrector", [])
    if not isinstance(uncorrected, list) or not all(type(step) is int and step >= 0 for step in uncorrected):
        raise file.refused(f"disable_corrector = {uncorrected!r} is not a list of steps")
