"""The agreement: the signed, frozen statement of what is allowed. See `comity.agreement.terms`."""

from comity.agreement.architectures import ARCHITECTURES, Architectures
from comity.agreement.cautions import cautions, missing_bounds, unusable_columns
from comity.agreement.clause import Clause
from comity.agreement.clauses import (
    AloneClause,
    AloneProviderClause,
    BlindMode,
    BlindValidationClause,
    DirectReleaseClause,
    Frame,
    Groupings,
    MediatedReleaseClause,
    PlainClause,
    PooledClause,
    ValidationClause,
    ValidationMode,
)
from comity.agreement.data import Budget, DataTerms, LegalBasis, Models, Purpose, Retention
from comity.agreement.merging import differences, merge_agreements
from comity.agreement.obligations import Obligation, obligations
from comity.agreement.parties import Party, PartyRole, Signature
from comity.agreement.reading import parse_agreement, read_agreement
from comity.agreement.signing import verify_agreement
from comity.agreement.standing import Standing, State, replaces, standing
from comity.agreement.terms import Agreement, agreement_from
from comity.agreement.training_clauses import (
    CleanRoomClause,
    EncryptedClause,
    FederatedClause,
    HomomorphicClause,
    Protocol,
    Scheme,
    SyntheticClause,
    SyntheticMethod,
)
from comity.agreement.withdrawal import Withdrawal, read_withdrawal

__all__ = [
    "ARCHITECTURES",
    "Agreement",
    "AloneClause",
    "AloneProviderClause",
    "Architectures",
    "BlindMode",
    "BlindValidationClause",
    "Budget",
    "Clause",
    "CleanRoomClause",
    "DataTerms",
    "DirectReleaseClause",
    "EncryptedClause",
    "FederatedClause",
    "Frame",
    "Groupings",
    "HomomorphicClause",
    "LegalBasis",
    "MediatedReleaseClause",
    "Models",
    "Obligation",
    "Party",
    "PartyRole",
    "PlainClause",
    "PooledClause",
    "Protocol",
    "Purpose",
    "Retention",
    "Scheme",
    "Signature",
    "Standing",
    "State",
    "SyntheticClause",
    "SyntheticMethod",
    "ValidationClause",
    "ValidationMode",
    "Withdrawal",
    "agreement_from",
    "cautions",
    "differences",
    "merge_agreements",
    "missing_bounds",
    "obligations",
    "parse_agreement",
    "read_agreement",
    "read_withdrawal",
    "replaces",
    "standing",
    "unusable_columns",
    "verify_agreement",
]
