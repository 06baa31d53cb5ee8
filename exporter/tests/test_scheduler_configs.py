"""The exporter accepts exactly the scheduler configs that the runtime opens; test/unit/vap reads the same list."""

import json

import pytest
from tiny_models import GOLDEN

from vapfarm_exporter import cogvideox_scheduler, wan_scheduler
from vapfarm_exporter.errors import UnsupportedConfigError

LIST = json.loads((GOLDEN.parent / "vap/scheduler-configs.json").read_text(encoding="utf-8"))
CHECKS = {"unipc": wan_scheduler, "euler": wan_scheduler, "cogvideox": cogvideox_scheduler}


@pytest.mark.parametrize("case", LIST["cases"], ids=lambda case: f"{case['base']}-{json.dumps(case['change'])}")
def test_a_scheduler_config_is_judged_as_the_runtime_judges_it(case: dict) -> None:
    check = CHECKS[case["base"]].check_scheduler_config
    config = {**LIST["bases"][case["base"]], **case["change"]}
    if case["accepted"]:
        check(config)
        return
    key = next(iter(case["change"]))
    with pytest.raises(UnsupportedConfigError, match=rf"scheduler_config\.json: .*{key}"):
        check(config)


@pytest.mark.parametrize(
    ("base", "key"), [("unipc", "prediction_type"), ("unipc", "use_flow_sigmas"), ("cogvideox", "prediction_type")]
)
def test_a_key_whose_default_is_another_function_must_be_there(base: str, key: str) -> None:
    config = {name: value for name, value in LIST["bases"][base].items() if name != key}
    with pytest.raises(UnsupportedConfigError, match=key):
        CHECKS[base].check_scheduler_config(config)
