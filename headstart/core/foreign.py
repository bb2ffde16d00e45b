"""Code and files that are not ours: whatever they raise becomes one sentence of ours."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from headstart.core.errors import HeadstartError


def reason_of(error: BaseException) -> str:
    """Return what an error says, in a line of at most 160 characters; its class where it says nothing."""
    return " ".join(str(error).split())[:160] or type(error).__name__


@contextmanager
def foreign(refusal: Callable[[BaseException], HeadstartError]) -> Iterator[None]:
    """Let what is not ours do something, and raise the ``refusal`` of whatever it raises.

    A decoder raises whatever a broken byte leads it to, a plug-in whatever its author did not think of; some
    code exits. No list of classes holds. What headstart itself raises passes.
    """
    try:
        yield
    except HeadstartError:
        raise
    except (Exception, SystemExit) as error:
        raise refusal(error) from error
