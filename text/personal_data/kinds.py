"""The kinds of personal data, and all recognisers in their order of precedence."""

from finelake.text.personal_data.addresses import ADDRESSES
from finelake.text.personal_data.names import NAMES
from finelake.text.personal_data.numbers import NUMBERS, PLATES, WRAPPED_CARDS
from finelake.text.personal_data.online import CHATS, IPS, LINKS
from finelake.text.personal_data.phones import PHONES, WRAPPED_PHONES

# The most specific first: of two that overlap, the first wins.
RECOGNISERS = (
    *LINKS,
    # Over two lines: before the others of these kinds, which would match part of the number.
    *WRAPPED_CARDS,
    *WRAPPED_PHONES,
    *NUMBERS,
    *PHONES,
    *PLATES,
    *CHATS,
    *IPS,
    *ADDRESSES,
    *NAMES,
)
KINDS = tuple(dict.fromkeys(recogniser.kind for recogniser in RECOGNISERS))
