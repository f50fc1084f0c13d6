"""At how many providers a record is: counted by a mediator that cannot tell which record or who else.

In blind validation a record's labels are added over the providers that hold it. The noise covers a change of
all of them at once if there are at most as many as it was calibrated for, so that bound is in the agreement
(`providers_per_record`), and this is how it is held to.

Every provider sends as many tokens as the frame has records: for what it holds the record's token, for
everything else a fresh random one, in rising order. The tokens are drawn under a key that the mediator does
not have, another than that of the upload's rows. So it learns how many records are at two and more of which
providers, and nothing else: not which records, not how many a provider holds. Where none is, it learns that.

The guarantee that follows. Relation: change-one, for one record's labels at all providers that hold it, at
most k of them. Sensitivity: k times what one label moves, because the record has one row in the question and
the labels are added (`covering`). It rests on providers that send the tokens of all that they hold.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from comity.crypto.pads import pad, random_key, tokens
from comity.errors import BadInput, ClauseRefused
from comity.validate.mechanism import Sized, Sizes
from comity.validate.queries import Labels

PART = "holders"
"""The part of a provider's message that has them."""


def holder_tokens(held: Labels, token_key: bytes) -> bytes:
    """What one provider sends: (records,) rising words.

    Args:
        held: (records,) 1 where this provider holds the record, else 0, in the frame's order.
        token_key: the key that all parties but the mediator have.
    """
    own = tokens(hmac.digest(token_key, b"comity holders", "sha256"), len(held))
    words = np.where(held == 1, own, pad(random_key(), len(held)))
    words.sort()
    return words.astype("<u8").tobytes()


def require_few_holders(sent: Mapping[str, bytes], records: int, most: int, *, clause: str) -> None:
    """At the mediator: nothing, if no record is at more than `most` providers.

    Random words coincide with probability below (providers records)^2 / 2^65, which is then a refusal too.

    Args:
        sent: by provider, what it sent.

    Raises:
        ClauseRefused: if one is.
        BadInput: if a provider sent something else.
    """
    read: list[NDArray[np.uint64]] = []
    for name, data in sent.items():
        words = np.frombuffer(data, dtype="<u8") if len(data) == 8 * records else np.zeros(0, np.uint64)
        if len(words) != records or (records > 1 and not (words[1:] > words[:-1]).all()):
            raise BadInput(
                f"'{name}' did not send one token for each of {records} records; nothing was counted"
            )
        read.append(words.astype(np.uint64))
    if len(read) <= most:
        return
    together = np.sort(np.concatenate(read), kind="stable")
    if (together[most:] == together[:-most]).any():
        raise ClauseRefused(
            f"a record is at more than {most} of the providers; its labels would count more often than the "
            "noise covers",
            clause=f"{clause}.providers_per_record",
            would_pass=f"each record at {most} or fewer, or an agreement with a larger number",
        )


def covering(sized: Sized, holders: int) -> Sizes:
    """The sizes of a question whose records are at up to `holders` providers, all labels of one changing."""
    return Sizes(sized.dimensions, holders * sized.l1, holders * sized.l2, holders * sized.largest_sum)
