"""A CogVideoX checkpoint's scheduler config, checked: DDIM or DPM with v-prediction.

What is accepted is what the runtime has arithmetic for, no more and no less
(services/domain/vap/schedulers/cogvideox-config): a shared list of configs holds both to it.
"""

from .config_checks import Allowed, ConfigFile, Json

CLASSES = ("CogVideoXDDIMScheduler", "CogVideoXDPMScheduler")
_REQUIRED: Allowed = {"_class_name": CLASSES, "prediction_type": ("v_prediction",)}
_FIXED: Allowed = {
    "beta_schedule": ("scaled_linear",),
    "timestep_spacing": ("trailing", "leading", "linspace"),
    "trained_betas": (None,),
    "rescale_betas_zero_snr": (True, False),
    "set_alpha_to_one": (True, False),
}
# Carried by the classes and never read in a step.
_IDLE = {"clip_sample", "clip_sample_range", "sample_max_value"}
_NUMBERS = {"num_train_timesteps": 1000, "beta_start": 0.00085, "beta_end": 0.012, "snr_shift_scale": 3, "steps_offset": 0}


def check_scheduler_config(config: Json) -> None:
    """Refuse a scheduler that the farm has no arithmetic for, and settings that would change its arithmetic."""
    file = ConfigFile("scheduler_config.json", config)
    file.refuse_unknown({*_REQUIRED, *_FIXED, *_IDLE, *_NUMBERS, *(key for key in config if key.startswith("_"))})
    file.refuse_other_values(_REQUIRED, required=True)
    file.refuse_other_values(_FIXED)
    numbers = {key: file.number(key, default) for key, default in _NUMBERS.items()}
    if numbers["num_train_timesteps"] < 2 or numbers["num_train_timesteps"] % 1:
        raise file.refused(f"num_train_timesteps = {numbers['num_train_timesteps']!r} is no count above 1")
    if not 0 < numbers["beta_start"] < numbers["beta_end"] < 1:
        raise file.refused("beta_start and beta_end are no range in 0..1")
    if numbers["snr_shift_scale"] <= 0:
        raise file.refused(f"snr_shift_scale = {numbers['snr_shift_scale']!r} is not positive")
    if numbers["steps_offset"] < 0 or numbers["steps_offset"] % 1:
        raise file.refused(f"steps_offset = {numbers['steps_offset']!r} is no count")
