"""The senders of one process: each is used by one drain or one ping at a time, and kept with its connections."""

from weakref import ReferenceType, ref

from dispatcher.sender import choose
from dispatcher.sender.authorizing import AuthorizingSender, Tokens
from dispatcher.sender.brokers import Brokers
from dispatcher.sender.contract import Limits, Sender
from dispatcher.sender.egress import Egress
from dispatcher.sender.lookups import LookupSender
from dispatcher.sender.mixed import MixedSender
from dispatcher.settings import Settings, read_proxy


class SenderPool:
    """Makes a sender when none is idle. Safe to use from many threads."""

    def __init__(self, settings: Settings) -> None:
        self._kind = settings.sender
        self._limits = Limits(
            timeout_s=settings.timeout_s,
            body_limit=settings.body_limit,
            allowed_networks=settings.allowed_networks,
            refused_networks=settings.refused_networks,
            egress=Egress(
                proxy=read_proxy(settings.egress_proxy) if settings.egress_proxy else None,
                resolves=settings.egress_lookup == "here",
                addresses=tuple(map(str, settings.egress_addresses)),
            ),
        )
        self._tokens = Tokens()
        self._brokers = Brokers(self._limits)
        self._idle: list[Sender] = []
        self._references: list[ReferenceType[Sender]] = []

    @property
    def in_flight(self) -> int:
        """Requests that this process has under way, stragglers too."""
        return sum(sender.in_flight for reference in self._references if (sender := reference()) is not None)

    def borrow(self) -> Sender:
        """A sender for the caller alone, who gives it back or closes it."""
        try:
            return self._idle.pop()
        except IndexError:
            connecting = choose.make_sender(self._kind, self._limits)
            if self._limits.egress.proxy is not None:
                connecting = LookupSender(connecting, self._limits)
            http = AuthorizingSender(connecting, self._limits, self._tokens)
            sender = MixedSender(http, self._brokers, self._limits)
            self._references = [reference for reference in self._references if reference() is not None] + [ref(sender)]
            return sender

    def give_back(self, sender: Sender) -> None:
        """For the next who sends; not where responses are awaited, which would be taken for the next one's."""
        if sender.in_flight:
            sender.close()
        else:
            self._idle.append(sender)

    def close(self) -> None:
        """Closes the idle ones, and the connections to brokers."""
        while self._idle:
            self._idle.pop().close()
        self._brokers.close()
