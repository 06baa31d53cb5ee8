"""Client of a vapfarm render farm: submit renders, watch them, fetch their results."""

from vapfarm.v1.farm_pb2 import Job, MediaReference, RenderSpec
from vapfarm_client.errors import FarmError, FieldViolation
from vapfarm_client.farm import Farm

__all__ = ["Farm", "FarmError", "FieldViolation", "Job", "MediaReference", "RenderSpec"]
