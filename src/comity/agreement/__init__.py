"""The agreement: the signed, frozen statement of what is allowed. See `comity.agreement.terms`."""

from comity.agreement.architectures import ARCHITECTURES, Architectures
from comity.agreement.clauses import (
    AloneClause,
    AloneProviderClause,
    BlindMode,
    BlindValidationClause,
    Clause,
    CleanRoomClause,
    DirectReleaseClause,
    EncryptedClause,
    FederatedClause,
    Frame,
    HomomorphicClause,
    MediatedReleaseClause,
    PlainClause,
    PooledClause,
    Protocol,
    Scheme,
    SyntheticClause,
    SyntheticMethod,
    ValidationClause,
    ValidationMode,
)
from comity.agreement.data import Budget, DataTerms, LegalBasis, Purpose
from comity.agreement.parties import Party, PartyRole, Signature
from comity.agreement.reading import parse_agreement, read_agreement
from comity.agreement.signing import verify_agreement
from comity.agreement.terms import Agreement, agreement_from

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
    "HomomorphicClause",
    "LegalBasis",
    "MediatedReleaseClause",
    "Party",
    "PartyRole",
    "PlainClause",
    "PooledClause",
    "Protocol",
    "Purpose",
    "Scheme",
    "Signature",
    "SyntheticClause",
    "SyntheticMethod",
    "ValidationClause",
    "ValidationMode",
    "agreement_from",
    "parse_agreement",
    "read_agreement",
    "verify_agreement",
]
