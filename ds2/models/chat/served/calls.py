"""Questions to a chat model, each sent once: an answer, or a fault. What the server takes is learnt here.

A refusal is put to the test before it counts for the row. One that names an option is asked again without
it; one that names none, without the schema. Until the server has answered anything, a plain question is asked
too: if the server refuses that, in every form, no question can pass.
"""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import Callable
from dataclasses import replace

import openai

from ds2.base.errors import UserError
from ds2.models.chat import Answer, ChatRequest
from ds2.models.chat.served.format import ChatFormat
from ds2.models.chat.served.listing import Listing
from ds2.models.chat.served.loop import SteppedLoop
from ds2.models.chat.served.policy import Fate, Fault
from ds2.models.chat.served.terms import SCHEMA, Terms
from ds2.models.chat.served.trouble import FAILURES, refusal, unreached
from ds2.models.chat.served.words import is_page, text_of, value_of

PLAIN = ChatRequest("", ({"role": "user", "content": "Answer with the digit 5."},))
"""A question that nobody refuses for what it says."""
_CHANGES = 6
"""Options that are changed for one question, at most."""
_UNSCHEMED = 3
"""Questions in a row that are answered only without the JSON schema: it is the schema that is refused."""


class ChatCalls:
    """Sends questions and learns what the server takes.

    Args:
        timeout: seconds for a whole answer.
    """

    def __init__(
        self, format: ChatFormat, client: openai.AsyncOpenAI, loop: SteppedLoop, timeout: float,
        say: Callable[[str], None],
    ) -> None:  # fmt: skip
        self._format, self._connection, self._client, self._say = format, format.connection, client, say
        self._loop, self._timeout = loop, timeout
        self._terms = format.terms
        self._unschemed = 0
        self._schema_passed = False
        self._tested = asyncio.Lock()
        self.heard = False
        """Whether any question was answered."""
        self.listing = Listing()

    async def send(self, request: ChatRequest) -> Answer | Fault:
        """Raises UserError where no question can be answered."""
        answer = await self._ask(request)
        if isinstance(answer, Answer):
            self._notice(answer)
            return answer
        fate = answer.fate(heard=self.heard)
        if fate is Fate.filtered:
            return Answer(request.key, answer.reason, finish="filtered")
        if fate is Fate.row and not self.heard:
            before = self._terms, self._client.base_url
            async with self._tested:  # one tests for all
                if not self.heard and (fault := await self.plain()) is not None:
                    raise self.refused(fault)
            if before != (self._terms, self._client.base_url):  # something was learnt
                return await self._ask(request)
        if fate is Fate.run:
            raise self.refused(answer)
        return answer

    async def plain(self) -> Fault | None:
        """Ask a plain question, where it is refused also in fewer words; None once one is answered."""
        answer = await self._ask(PLAIN)
        if isinstance(answer, Answer):
            self._notice(answer)
            return None
        if answer.fate(heard=False) is Fate.row and answer.status == 404:
            return await self._elsewhere(answer)
        if answer.fate(heard=False) is Fate.row and answer.status != 403:
            for terms in self._terms.fewer():
                if isinstance(other := await self._post(PLAIN, terms), Answer):
                    self._adopt(terms, answer)
                    self._notice(other)
                    return None
        return answer

    async def _elsewhere(self, refusal: Fault) -> Fault | None:
        """Ask below /v1, where most servers answer; None once that is answered, and from now on."""
        given = str(self._client.base_url).rstrip("/")
        if self._connection.base_url is None or self._connection.api_version is not None:
            return refusal
        if given.endswith("/v1") or self.heard:
            return refusal
        self._client.base_url = f"{given}/v1"
        if isinstance(answer := await self._ask(PLAIN), Answer):
            self._say(
                f"{self._connection.name} answers below /v1: {self._connection.group}.base_url={given}/v1"
            )
            self._notice(answer)
            return None
        self._client.base_url = given
        return refusal

    def refused(self, fault: Fault) -> UserError:
        """What the user has to change where nothing can be asked."""
        form = self._format.form
        if form.tokens and "logprob" in fault.words:
            return UserError(
                f"{form.option} needs token probabilities (logprobs), which {self._connection.name} refuses "
                f"({fault.reason}); {form.otherwise}"
            )
        return refusal(fault, self._connection, self._format.model, self._others())

    def _others(self) -> str:
        """The models that the server lists, where it does not list this one."""
        names, model = self.listing.names, self._format.model
        if not names or model in names:
            return ""
        near = difflib.get_close_matches(model, names, n=3, cutoff=0.3)
        shown = near + [name for name in names if name not in near]
        more = f" and {len(shown) - 10} more" if len(shown) > 10 else ""
        return f"; it has: {', '.join(shown[:10])}{more}"

    def _notice(self, answer: Answer) -> None:
        """The first answer. Raises UserError where another model gave it than was asked for."""
        first, self.heard = not self.heard, True
        names, model = self.listing.names, self._format.model
        if not first or not names or model in names or any(_covers(name, model) for name in names):
            return
        if answer.model in names and not _same(answer.model, model):
            raise UserError(
                f"{self._connection.name} has no model {model} and answers with {answer.model} instead"
                f"{self._others()}"
            )
        self._say(f"{self._connection.name} does not list {model} but answers for it{self._others()}")

    async def _ask(self, request: ChatRequest) -> Answer | Fault:
        """On the terms known so far, and on others where these are refused."""
        tried = self._terms
        answer = await self._post(request, tried)
        if isinstance(answer, Answer):
            self._schema_passed |= tried.with_schema()
            self._unschemed = 0 if tried.with_schema() else self._unschemed
            return answer
        first = answer
        for _ in range(_CHANGES):
            terms = tried.after(answer) if answer.fate(heard=True) is Fate.row else None
            if terms is None:
                break
            tried, answer = terms, await self._post(request, terms)
            if isinstance(answer, Answer):
                self._adopt(tried, first)
                return answer
        return await self._without_schema(request, answer, tried)

    async def _without_schema(self, request: ChatRequest, refusal: Fault, tried: Terms) -> Answer | Fault:
        """Once more without the schema, where that may be what is refused."""
        fate = refusal.fate(heard=True)
        broken = refusal.status == 500 and refusal.wait is None and not self._schema_passed
        lacking = refusal.status == 404 and "parameter" in refusal.words  # OpenRouter
        asked = fate is Fate.row and (refusal.status in (400, 422, 501) or lacking) and not refusal.too_long
        if not tried.with_schema() or not (asked or broken):
            return refusal
        terms = tried.without(SCHEMA)
        answer = await self._post(request, terms)
        if not isinstance(answer, Answer):
            return refusal
        self._unschemed += 1
        alone = False
        if asked and not self._schema_passed and self._terms.with_schema():
            alone = isinstance(await self._post(PLAIN, tried), Fault)
            self._schema_passed = not alone
        if alone or self._unschemed == _UNSCHEMED:
            self._adopt(terms, refusal)
        return answer

    def _adopt(self, terms: Terms, refusal: Fault) -> None:
        """Ask so from now on, and say it once."""
        new = [change for change in terms.changes if change not in self._terms.changes]
        if new:
            self._terms = terms
            self._say(
                f"{self._connection.name} refuses what it was asked with ({refusal.reason}); from now on: "
                f"{', '.join(new)}"
            )

    async def _post(self, request: ChatRequest, terms: Terms) -> Answer | Fault:
        body = self._format.body(request, terms)
        model, messages = body.pop("model"), body.pop("messages")
        try:
            async with self._loop.within(self._timeout):
                raw = await self._client.chat.completions.with_raw_response.create(
                    model=model, messages=messages, extra_body=body
                )
        except openai.APIStatusError as error:
            return self._connection.fault(error)
        except FAILURES as error:
            return unreached(error, self._connection, self._timeout)
        # Not valid UTF-8 somewhere: the digits may still be there.
        text = text_of(raw.content)
        try:
            completion = value_of(text)
        except (ValueError, RecursionError):
            shown = self._connection.without_key(text)  # before the cut: half a key is no longer found
            if is_page(text):
                return Fault(f"a page of HTML ({shown[:60]!r})", page=True)
            return Fault(f"the server sent no JSON but {shown[:100]!r}" if shown else "an empty body")
        answer = self._format.answer(request.key, completion)
        return replace(answer, changes=terms.changes) if isinstance(answer, Answer) else answer


def _covers(listed: str, model: str) -> bool:
    """Whether a name in a list stands for this model too: a pattern, or the name without its variant."""
    before, star, after = listed.partition("*")
    pattern = bool(star) and model.startswith(before) and model.endswith(after)
    return pattern or model.partition(":")[0] == listed


def _same(answered: str, asked: str) -> bool:
    """Whether two names are of one model, by all that can be told: one begins with the other."""
    one, other = answered.casefold(), asked.casefold()
    return one.startswith(other) or other.startswith(one) or one.endswith(f"/{other}")
