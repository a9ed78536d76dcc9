"""Claims of a study: the statistic of each, its 95 % interval over seeds, and the verdict."""

from dlexp.studies.claims.definition import Claim, Finding
from dlexp.studies.claims.parsing import ClaimError, parse_claims
from dlexp.studies.claims.verdict import judge
from dlexp.studies.claims.write import claims_json

__all__ = ["Claim", "ClaimError", "Finding", "claims_json", "judge", "parse_claims"]
